//! The variables that Litestream's clients take their keys from.

/// Each, and the setting that has the same.
pub const KEY_VARIABLES: [(&str, &str); 7] = [
    ("LITESTREAM_AZURE_ACCOUNT_KEY", "account-key"),
    ("LITESTREAM_AZURE_SAS_TOKEN", "sas-token"),
    ("AWS_SESSION_TOKEN", "secret-access-key"),
    ("LITESTREAM_ACCESS_KEY_ID", "access-key-id"),
    ("LITESTREAM_SECRET_ACCESS_KEY", "secret-access-key"),
    ("AWS_ACCESS_KEY_ID", "access-key-id"),
    ("AWS_SECRET_ACCESS_KEY", "secret-access-key"),
];
