"""Singer target for PostgreSQL: meltanolabs-target-postgres with a faster road for records, which keeps every digit."""
