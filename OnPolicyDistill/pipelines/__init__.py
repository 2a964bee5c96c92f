"""Several runs as one piece of work: stages that hand their adapters on, and a table at the end."""
