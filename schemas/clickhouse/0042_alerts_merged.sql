-- Only alerts that are resolved expire. What says so must have replaced what says that they fire by then: were it to expire
-- from a part of its own, the alert would fire again. So parts are merged within hours, not as it comes; alerts are few.
ALTER TABLE alerts_raw MODIFY SETTING min_age_to_force_merge_seconds = 3600;
