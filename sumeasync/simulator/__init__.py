"""The API to rehearse on: a pure world, faults, and the HTTP routes over them."""
