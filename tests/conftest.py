from hypothesis import settings

# Examples are never timed: on a busy machine a deadline fails tests that are right.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
