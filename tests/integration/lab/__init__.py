"""The lab: real Docker engines, Consul, certificates and swarm processes for the tests."""
