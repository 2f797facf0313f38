-- An account with the role editor may change the catalogue; registration never gives it.
alter table account
    drop constraint account_role_known,
    add constraint account_role_known check (role in ('user', 'editor', 'admin'));
