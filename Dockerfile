# Orderloom as production runs it: the parts only. PostgreSQL and Temporal are services of their own, see docker-compose.yml.

ARG PYTHON=python:3.11-slim

FROM ${PYTHON} AS dependencies
WORKDIR /build
COPY requirements-production.lock .
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes \
    --requirement requirements-production.lock

FROM ${PYTHON}
ENV PATH=/venv/bin:$PATH \
    PYTHONPATH=/orderloom \
    PYTHONDONTWRITEBYTECODE=1 \
    ORDERLOOM_API_HOST=0.0.0.0
COPY --from=dependencies /venv /venv
COPY . /orderloom
WORKDIR /orderloom
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["python", "-P", "-m", "cli"]
CMD ["server"]
