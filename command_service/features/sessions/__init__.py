"""Sign-in sessions and the access tokens that come with them."""
