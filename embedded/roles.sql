-- Two roles from the first day: the owner migrates, the application reads and writes rows, neither is a superuser.
-- Run by a superuser in the database itself, with orderloom.owner_password and orderloom.app_password set for the
-- connection. Running it again changes nothing but the passwords.
DO $$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['owner', 'app'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'orderloom_' || role) THEN
      EXECUTE format('CREATE ROLE %I', 'orderloom_' || role);
    END IF;
    EXECUTE format(
      'ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD %L',
      'orderloom_' || role, current_setting('orderloom.' || role || '_password')
    );
  END LOOP;
  EXECUTE format('ALTER DATABASE %I OWNER TO orderloom_owner', current_database());
END
$$;

CREATE EXTENSION IF NOT EXISTS btree_gist;

-- What the owner creates later, the application may use: rows, never tables.
ALTER DEFAULT PRIVILEGES FOR ROLE orderloom_owner GRANT USAGE ON SCHEMAS TO orderloom_app;
ALTER DEFAULT PRIVILEGES FOR ROLE orderloom_owner GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO orderloom_app;
ALTER DEFAULT PRIVILEGES FOR ROLE orderloom_owner GRANT USAGE, SELECT ON SEQUENCES TO orderloom_app;
