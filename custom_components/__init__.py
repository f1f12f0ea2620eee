"""The folder that Home Assistant looks into for integrations; a package so that its test harness finds it first."""
