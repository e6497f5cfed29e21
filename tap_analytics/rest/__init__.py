"""Reading a REST API: requests, pages, authentication, and the connection they travel by."""
