-- The pool's connections plan statements once for all values. Whether an index of words helps depends on the words.
alter function similar_tickets(text, integer) set plan_cache_mode = force_custom_plan;
alter function relevant_articles(text, integer) set plan_cache_mode = force_custom_plan;
