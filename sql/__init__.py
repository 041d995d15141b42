"""How we speak with PostgreSQL: connections and statements. Knows no tables."""
