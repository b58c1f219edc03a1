"""Who is calling: tenants, clients, API keys and principals. Checks credentials; decides no routing."""
