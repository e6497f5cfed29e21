"""The tap at work on one machine: sandbox, Meltano and an embedded Postgres."""
