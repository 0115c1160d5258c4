"""Views of the devices and the app that a customer uses."""
