-- The trigger agent_set_search_text computes the column, so statements do not name it.
alter table agent alter column search_text set default '';
