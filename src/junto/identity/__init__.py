"""Who is calling: principals, and in time tenants, clients and API keys. Checks credentials; decides no routing."""
