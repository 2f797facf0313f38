-- The client that a login came from: its IPv4 address, or the /64 network of its IPv6 address. Null in sessions that
-- began before this column existed.
alter table session add column client text;

-- Finds whether an account has logged in from a client, and serves the foreign key.
create index session_account_id_client_idx on session (account_id, client);
drop index session_account_id_idx;

-- Failed logins are counted by email and client, by email, and by client. An empty client stands for all clients, an
-- empty email for all emails.
alter table login_failure add column client text not null default '';
alter table login_failure alter column client drop default;
alter table login_failure drop constraint login_failure_pkey;
alter table login_failure add constraint login_failure_pkey primary key (email, client);
alter table login_failure add constraint login_failure_of_something check (email <> '' or client <> '');
