"""Access tokens of other issuers: Keycloak, Auth0 or whatever speaks OpenID Connect, where an operator trusts them."""
