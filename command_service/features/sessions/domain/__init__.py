"""The rules of sign-in sessions, of second factors, and of what the token endpoint takes."""
