"""Tests of TUF repositories: real keys, a real web server, and one who attacks it."""
