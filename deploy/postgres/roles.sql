-- The roles and the database of Assay on a PostgreSQL server of your own, version 15 or newer. Run it once, as a superuser or
-- as a role with CREATEROLE and CREATEDB, outside of a transaction:
--   psql -v ON_ERROR_STOP=1 -f roles.sql "host=... dbname=postgres user=..."
-- Then give each role a password (in psql: \password assay_owner), and run "assay migrate".
-- The names are part of the schema's policies and cannot be changed; the database may have another name.

create role assay_owner login nosuperuser nocreatedb nocreaterole nobypassrls noreplication; -- owns the tables, runs migrations
create role assay_app login nosuperuser nocreatedb nocreaterole nobypassrls noreplication;   -- gateways: one tenant at a time
create role assay_work login nosuperuser nocreatedb nocreaterole nobypassrls noreplication;  -- relays and dispatchers

-- Migrations hand the look-up of keys over to assay_work. The owner may become that role for this, and inherits nothing of it.
do $$
begin
  if current_setting('server_version_num')::int >= 160000 then
    execute 'grant assay_work to assay_owner with inherit false, set true';
  else
    alter role assay_owner noinherit;
    grant assay_work to assay_owner;
  end if;
  -- Whoever makes a database for another role must be able to become it.
  if not (select rolsuper from pg_roles where rolname = current_user) then
    execute format('grant assay_owner to %I', current_user);
  end if;
end $$;

create database assay owner assay_owner encoding 'UTF8' template template0;
revoke all on database assay from public;
grant connect on database assay to assay_app, assay_work;
