"""One module per command: a service takes its clients, returns a result, never prints and never exits."""
