#!/bin/sh
# Run once by the postgres image, as the superuser, when it makes its data directory: Junto's database and its two logins.
# junto_owner migrates and owns the tables; junto is what serve and worker log in as, bound by row-level security.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv owner_password DATABASE_OWNER_PASSWORD
\getenv password DATABASE_PASSWORD
CREATE ROLE junto_app NOLOGIN;
CREATE ROLE junto_operator NOLOGIN;
CREATE ROLE junto_owner LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB PASSWORD :'owner_password';
CREATE ROLE junto LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB PASSWORD :'password';
GRANT junto_app, junto_operator TO junto_owner, junto;
CREATE DATABASE junto OWNER junto_owner;
REVOKE ALL ON DATABASE junto FROM PUBLIC;
GRANT CONNECT ON DATABASE junto TO junto;
GRANT TEMPORARY ON DATABASE junto TO junto_operator;
SQL
