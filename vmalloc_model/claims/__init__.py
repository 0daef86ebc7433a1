"""The claims of the mail, and one check for each.

``data/claims.toml`` holds the claims, the topic modules the checks; `evaluation.run_checks`
evaluates all. The package imports nothing here, so that who only reads the mail needs no more.
"""
