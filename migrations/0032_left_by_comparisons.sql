-- A comparison of the read models with the log once made its tables in a schema of its own, and left them there when it was
-- interrupted. It now makes temporary tables.
DO $$
DECLARE
    left_over text;
BEGIN
    FOR left_over IN
        SELECT nspname FROM pg_namespace WHERE nspname ~ '^projection_[a-z_]+_compare_[0-9a-f]{32}$'
    LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', left_over);
    END LOOP;
END
$$;
