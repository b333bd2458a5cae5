"""Everything REST: authentication by token, endpoints, problem documents, the OpenAPI document."""
