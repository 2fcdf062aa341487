"""The provider's API over HTTP: the only place that knows requests, urllib3 and httptools."""
