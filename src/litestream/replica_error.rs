//! The errors of replicas by their kinds: what one means, and what to do about it.

use super::command::NO_ANSWER;
use crate::os::oom;

/// Our own words for a backup whose files have pages of more than one size.
pub const MIXED: &str = "its pages have another size than those of the backup";

/// A kind of error of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaError {
    /// The key is unknown, its secret is wrong, or it may not do this.
    Credentials,
    /// The same of Azure's storage.
    AzureKey,
    /// The same of Google's.
    GoogleKey,
    /// A server outside of any cloud does not know the user, or its password or key is wrong.
    Login,
    /// The server is another one than the settings say, by its key.
    HostKey,
    /// What should be a key file is not one.
    KeyFile,
    /// The server's certificate is from no authority that this machine trusts, or for another name.
    Certificate,
    /// There is no such bucket.
    Bucket,
    /// The same of Azure's storage.
    Container,
    /// What no object store of NATS can be called.
    ObjectStore,
    /// There are no credentials at all.
    NoCredentials,
    /// The same of Azure's storage.
    NoAzureKey,
    /// The key of Azure's storage is no key.
    BrokenAzureKey,
    /// The same of Google's: none, or the file with them is not there.
    NoGoogleKey,
    /// The host's name has no address.
    Dns,
    /// No answer from there.
    Unreachable,
    /// The same of a server of S3, which may have been asked in another way than was meant.
    UnreachableS3,
    /// The server answers that it cannot answer now.
    Busy,
    /// This machine has another time of day than the server, which does not believe its signatures therefore.
    Clock,
    /// The server speaks plain HTTP, and is asked for TLS.
    NoTls,
    /// The list of certificates in `AWS_CA_BUNDLE` cannot be used.
    CaBundle,
    /// No memory in this container.
    NoMemory,
    /// No room on this machine.
    DiskFull,
    /// A file or folder of this machine is closed to us.
    Permission,
    /// A file of this machine stands where a folder belongs.
    NoFolder,
    /// A file of the backup was written by a Litestream that is newer than this one.
    Newer,
    /// A file of the backup is broken, or missing among the others.
    Damaged,
    /// The pages of the database have another size than those of the backup.
    PageSize,
    /// Anything else.
    Other,
}

/// What each kind looks like in the words of the clients that Litestream uses.
const WORDS: &[(ReplicaError, &[&str])] = &[
    (ReplicaError::NoMemory, &[oom::NO_MEMORY]),
    (ReplicaError::CaBundle, &["custom RootCAs", "AWS_CA_BUNDLE"]),
    (ReplicaError::Container, &["ContainerNotFound"]),
    // Of a URL without a bucket, and of one with a slash in it.
    (
        ReplicaError::ObjectStore,
        &["invalid object-store name", "nats: invalid bucket name", "object store bucket \".\""],
    ),
    (
        ReplicaError::Bucket,
        &["NoSuchBucket", "bucket does not exist", "bucket doesn't exist", "bucket not found"],
    ),
    (ReplicaError::NoCredentials, &["get credentials", "no EC2 IMDS role", "NoCredentialProviders"]),
    (
        ReplicaError::NoGoogleKey,
        &["could not find default credentials", "GOOGLE_APPLICATION_CREDENTIALS environment variable"],
    ),
    (ReplicaError::NoAzureKey, &["DefaultAzureCredential: failed to acquire a token"]),
    // The second is our own client's.
    (ReplicaError::BrokenAzureKey, &["illegal base64 data at input byte", "Invalid Access Key: "]),
    (
        ReplicaError::AzureKey,
        &[
            "AuthenticationFailed",
            "AuthorizationFailure",
            "InvalidAuthenticationInfo",
            "AuthorizationPermissionMismatch",
        ],
    ),
    (
        ReplicaError::GoogleKey,
        &["googleapi: Error 401", "googleapi: Error 403", "oauth2: cannot fetch token"],
    ),
    // Comes with a number that a wrong key has as well.
    (ReplicaError::Clock, &["RequestTimeTooSkewed"]),
    (
        ReplicaError::Credentials,
        &[
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "AccessDenied",
            "Forbidden",
            "StatusCode: 403",
            "StatusCode: 401",
        ],
    ),
    // Of SSH, NATS and WebDAV.
    (
        ReplicaError::Login,
        &[
            "ssh: unable to authenticate",
            "Authorization Violation",
            "authentication expired",
            "Authorize /: 401",
            "Authorize /: 403",
        ],
    ),
    (ReplicaError::HostKey, &["host key mismatch", "cannot parse sftp host key"]),
    (
        ReplicaError::KeyFile,
        &["cannot parse sftp key path", "cannot read sftp key path", "nkey: ", "nats: no nkey seed"],
    ),
    (
        ReplicaError::Certificate,
        &["x509: ", "certificate signed by unknown authority", "invalid peer certificate"],
    ),
    // Go says the first of these after ten tries, and the second after one.
    (ReplicaError::NoTls, &["does not look like a TLS handshake", "gave HTTP response to HTTPS client"]),
    (ReplicaError::DiskFull, &["no space left on device", "disk quota exceeded"]),
    // Go's words, the second of which say more behind them, and those of the C library.
    (
        ReplicaError::Dns,
        &["no such host", "server misbehaving", "dial tcp: lookup ", "failed to lookup address"],
    ),
    (
        ReplicaError::Unreachable,
        &[
            "connection refused",
            "i/o timeout",
            "deadline exceeded",
            "no route to host",
            "unreachable",
            "connection reset",
            // NATS tells no more.
            "no servers available for connection",
            "nats: timeout",
            "no responders available",
            "handshake timeout",
            // A server of SSH that is on its way, or has too many at once (`MaxStartups`).
            "ssh: handshake failed: EOF",
            "connection lost",
            "broken pipe",
        ],
    ),
    // The last of WebDAV, of whom others have said more by now.
    (ReplicaError::Permission, &["permission denied", "read-only file system", ": 403"]),
    (ReplicaError::NoFolder, &["not a directory"]),
    (ReplicaError::Newer, &["no flags allowed, reserved for future use"]),
    (ReplicaError::PageSize, &["unaligned wal offset", MIXED]),
    // All else that goes wrong while files are read says the same first.
    (
        ReplicaError::Damaged,
        &[
            "decode database: ",
            "non-contiguous ltx files",
            "non-contiguous transaction files",
            "invalid ltx file",
            "checksum mismatch",
            "ltx file corrupted",
            "mismatched page sizes",
            // Of 0.3, the last by its library.
            "missing WAL index",
            "missing WAL segment",
            "missing initial wal segment",
            "wal segments out of order",
            "lz4: ",
            "no snapshots available",
            "cannot restore snapshot: EOF",
            "cannot restore snapshot: unexpected EOF",
        ],
    ),
    // Of S3, Google's storage, Azure and WebDAV, some of it of who asks too often. Last, since the latter two say no more than a number.
    (
        ReplicaError::Busy,
        &[
            "StatusCode: 50",
            "SlowDown",
            "ServerBusy",
            "Error 50",
            "429 Too Many Requests",
            // Google's, as Litestream's library says it.
            "Error 429",
            "response code 50",
            // Our own, of any status of that kind (`backup::reach`).
            " answers 5",
            ": 500",
            ": 502",
            ": 503",
            ": 504",
            // Two writes on condition met.
            "ConditionalRequestConflict",
            "OperationAborted",
        ],
    ),
];

impl ReplicaError {
    /// Finds the kind of an error of Litestream's by its words.
    pub fn of(error: &str) -> Self {
        let kind = WORDS.iter().find(|(_, words)| words.iter().any(|word| error.contains(word)));
        match kind {
            Some((kind, _)) => kind.asked_of(error.contains("operation error S3: ")),
            // A piece of 0.3's that ends too early; of a connection that does more is said.
            None if error.contains("cannot download wal ") && error.ends_with("EOF") => Self::Damaged,
            None => Self::Other,
        }
    }

    /// Does as [`ReplicaError::of`] of an error that may as well be that the time for an answer is over.
    pub fn of_asked(error: &str) -> Self {
        match Self::of(error) {
            Self::Other if error.starts_with(NO_ANSWER) => Self::Unreachable,
            kind => kind,
        }
    }

    /// Corrects the kind where it is known whether S3 was asked: silence does not tell.
    pub fn asked_of(self, is_s3: bool) -> Self {
        if is_s3 && self == Self::Unreachable { Self::UnreachableS3 } else { self }
    }

    /// Tells whether waiting changes nothing: a setting has to be corrected.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Credentials
                | Self::AzureKey
                | Self::GoogleKey
                | Self::Login
                | Self::HostKey
                | Self::KeyFile
                | Self::Certificate
                | Self::Bucket
                | Self::Container
                | Self::ObjectStore
                | Self::NoCredentials
                | Self::NoAzureKey
                | Self::BrokenAzureKey
                | Self::NoGoogleKey
                | Self::CaBundle
                | Self::NoTls
                | Self::PageSize
                | Self::Newer
        )
    }

    /// Tells whether a retry may succeed soon, with nothing changed here.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Unreachable | Self::UnreachableS3 | Self::Dns | Self::Busy | Self::Clock)
    }

    /// Says the next step.
    #[expect(clippy::too_many_lines, reason = "one table of words")]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Credentials => {
                "check the access key and its secret (LITESTREAM_ACCESS_KEY_ID, LITESTREAM_SECRET_ACCESS_KEY) and what they may do"
            }
            Self::AzureKey => {
                "check `account-name`, its key or token (LITESTREAM_AZURE_ACCOUNT_KEY, LITESTREAM_AZURE_SAS_TOKEN) and what it may do"
            }
            Self::GoogleKey => "check the account in GOOGLE_APPLICATION_CREDENTIALS, and what it may do",
            Self::Login => "check the user, and its password or key, in the replica's settings",
            Self::HostKey => {
                "compare `host-key` with what the server has: litestream takes its ecdsa key if it has one (`ssh-keyscan -t ecdsa HOST`), \
                 else the rsa one, and ed25519 last; if that is what is written, somebody else may answer there"
            }
            Self::KeyFile => "name a file with a private key that has no passphrase",
            Self::Certificate => {
                "install the machine's certificates (Debian and Alpine: ca-certificates), or name the server's own with SSL_CERT_FILE; where it is expired, or of another name, the server needs a new one"
            }
            Self::Bucket => "create the bucket, or correct its name, its region or the endpoint",
            Self::Container => "create the container, or correct its name or `account-name`",
            Self::ObjectStore => {
                "write `nats://HOST/BUCKET`, with the server's port behind HOST, and one name of letters, digits, `-` and `_`: an object store has no folders"
            }
            Self::NoCredentials => "set LITESTREAM_ACCESS_KEY_ID and LITESTREAM_SECRET_ACCESS_KEY",
            Self::NoAzureKey => "set LITESTREAM_AZURE_ACCOUNT_KEY, or write `account-key`",
            Self::BrokenAzureKey => {
                "copy the whole `account-key` (LITESTREAM_AZURE_ACCOUNT_KEY) again: it is base64, and what is there is not"
            }
            Self::NoGoogleKey => {
                "name the file with the account's key with GOOGLE_APPLICATION_CREDENTIALS: it has to be there, and to be readable"
            }
            Self::Dns => {
                "check the endpoint's name, and that this machine can resolve names (a `nameserver` in /etc/resolv.conf)"
            }
            Self::Unreachable => "check the endpoint, and that this machine can reach it",
            Self::UnreachableS3 => {
                "check the endpoint, and that this machine can reach it; without http:// in front it is asked over https"
            }
            Self::Clock => {
                "set this machine's clock: S3 believes no request that is signed 15 minutes too early or too late"
            }
            Self::Busy => "the server answers, and cannot do it now: its own log tells why",
            Self::NoTls => {
                "write http:// in front of the endpoint: without a scheme it is https to litestream"
            }
            Self::CaBundle => "unset AWS_CA_BUNDLE: litestream's S3 client cannot use it",
            Self::NoMemory => {
                "give the container more memory; fewer restores side by side need less (--restore-parallel)"
            }
            Self::DiskFull => "free some space where that file is, or where the database is",
            Self::Permission => "check who may read and write there",
            Self::NoFolder => "a file stands where a folder belongs: remove it, or name another place",
            // The flag came with 0.5.16 (tried with each release from 0.5.9 on).
            Self::Newer => "litestream 0.5.16 or a later one wrote this: run such a one, 0.5.17 for example",
            Self::Damaged => {
                "a file of the backup is broken or missing (`litekeeper ltx` lists those that are there): bring it back, \
                 move it away if it is the newest one and broken, or name another, empty place, to which the database that is here is copied as a whole"
            }
            Self::PageSize => {
                "litestream cannot add pages of another size to a backup: name another, empty place for the replica, or give the \
                 database the backup's page size again (PRAGMA journal_mode=DELETE; PRAGMA page_size=…; VACUUM)"
            }
            Self::Other => {
                "check the replica's settings; `litestream restore` with the same settings tells more"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_real_clients_are_understood() {
        for (words, kind) in [
            (
                "operation error S3: ListObjectsV2, https response error StatusCode: 404, api error NoSuchBucket: gone",
                ReplicaError::Bucket,
            ),
            (
                "operation error S3: PutObject, StatusCode: 403, api error SignatureDoesNotMatch",
                ReplicaError::Credentials,
            ),
            ("dial tcp 127.0.0.1:1: connect: connection refused", ReplicaError::Unreachable),
            (
                "cannot calc restore plan: ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain",
                ReplicaError::Login,
            ),
            (
                "cannot calc restore plan: ssh: handshake failed: ssh: host key mismatch",
                ReplicaError::HostKey,
            ),
            ("sftp: cannot parse sftp key path: ssh: no key found", ReplicaError::KeyFile),
            ("failed to connect to NATS server: nats: Authorization Violation", ReplicaError::Login),
            (
                "failed to access object store bucket \"b\" (bucket must be created beforehand): nats: bucket not found",
                ReplicaError::Bucket,
            ),
            ("webdav: cannot connect to server: Authorize /: 401", ReplicaError::Login),
            (
                "webdav: cannot connect to server: Options \"https://127.0.0.1:1/\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
                ReplicaError::Certificate,
            ),
            (
                "no answer within 15 s: 127.0.0.1:9000: invalid peer certificate: UnknownIssuer",
                ReplicaError::Certificate,
            ),
            (
                "GET http://h/c: 403 Server failed to authenticate the request. (AuthorizationFailure)",
                ReplicaError::AzureKey,
            ),
            (
                "GET http://h/c: 404 The specified container does not exist. (ContainerNotFound)",
                ReplicaError::Container,
            ),
            (
                "exceeded maximum number of attempts, 10, https response error StatusCode: 0, request send failed, Get \"https://127.0.0.1:9/b?(hidden) tls: first record does not look like a TLS handshake",
                ReplicaError::NoTls,
            ),
            ("http: server gave HTTP response to HTTPS client", ReplicaError::NoTls),
            ("cannot calc restore plan: storage: bucket doesn't exist", ReplicaError::Bucket),
            (
                "googleapi: Error 403: who@iam does not have storage.objects.list access, forbidden",
                ReplicaError::GoogleKey,
            ),
            ("cannot calc restore plan: failed to send packet: connection lost", ReplicaError::Unreachable),
            ("webdav: cannot connect to server: Authorize /: 503", ReplicaError::Busy),
            (
                "operation error S3: ListObjectsV2, https response error StatusCode: 503, SlowDown",
                ReplicaError::Busy,
            ),
            ("GET http://h/c: 503 The server is busy. (ServerBusy)", ReplicaError::Busy),
            ("googleapi: got HTTP response code 503 with body: ", ReplicaError::Busy),
            (
                "googleapi: Error 429: The object exceeded the rate limit, rateLimitExceeded",
                ReplicaError::Busy,
            ),
            (
                "Generic GCS error: googleapi: Error 429 Too Many Requests: {\"error\": {\"code\": 429",
                ReplicaError::Busy,
            ),
            ("no good answer within 5 s: h:443 answers 500 Internal Server Error", ReplicaError::Busy),
            ("status code: 409 Conflict: <Error><Code>ConditionalRequestConflict</Code>", ReplicaError::Busy),
            ("403 Forbidden: <Error><Code>RequestTimeTooSkewed</Code>", ReplicaError::Clock),
            ("lookup nowhere.invalid: no such host", ReplicaError::Dns),
            ("dial tcp: lookup h on [::1]:53: read udp: read: connection refused", ReplicaError::Dns),
            (
                "no answer within 5 s: h:443: failed to lookup address information: try again",
                ReplicaError::Dns,
            ),
            ("unable to add custom RootCAs HTTPClient, has no WithTransportOptions", ReplicaError::CaBundle),
            (
                "sync: new wal reader with offset: unaligned wal offset 20632 for page size 8192",
                ReplicaError::PageSize,
            ),
            (
                "decode database: decode header: new ltx compactor: input files have mismatched page sizes: 4096 != 8192",
                ReplicaError::Damaged,
            ),
            ("write /data/x: no space left on device", ReplicaError::DiskFull),
            (
                "decode database: unexpected error decoding after end of database: close reader 8: file checksum mismatch",
                ReplicaError::Damaged,
            ),
            (
                "cannot calc restore plan: non-contiguous ltx files: have up to 0000000000000008 but next file starts at 000000000000000a",
                ReplicaError::Damaged,
            ),
            (
                "decode database: decode page 1: read page header 0: no flags allowed, reserved for future use",
                ReplicaError::Newer,
            ),
            (
                "decode database: decode header: operation error S3: GetObject, StatusCode: 403",
                ReplicaError::Credentials,
            ),
            ("nats: no servers available for connection", ReplicaError::Unreachable),
            (
                "webdav: cannot connect to server: Options \"http://127.0.0.1:1/\": dial tcp 127.0.0.1:1: connect: connection refused",
                ReplicaError::Unreachable,
            ),
            (
                "operation error S3: ListObjectsV2, exceeded maximum number of attempts, 10, https response error StatusCode: 0, \
                 request send failed, Get \"https://127.0.0.1:1/b\": dial tcp 127.0.0.1:1: connect: connection refused",
                ReplicaError::UnreachableS3,
            ),
            (
                "dialing: google: could not find default credentials. See https://cloud.google.com/docs/authentication",
                ReplicaError::NoGoogleKey,
            ),
            (
                "dialing: google: error getting credentials using GOOGLE_APPLICATION_CREDENTIALS environment variable: open \
                 /etc/key.json: no such file or directory",
                ReplicaError::NoGoogleKey,
            ),
            (
                "abs: cannot list blobs: DefaultAzureCredential: failed to acquire a token.\nAttempted credentials:",
                ReplicaError::NoAzureKey,
            ),
            (
                "abs: cannot create shared key credential: decode account key: illegal base64 data at input byte 3",
                ReplicaError::BrokenAzureKey,
            ),
            (
                "Generic MicrosoftAzure error: Invalid Access Key: Invalid symbol 33, offset 3.",
                ReplicaError::BrokenAzureKey,
            ),
            (
                "failed to access object store bucket \"b/app\" (bucket must be created beforehand): nats: invalid object-store name",
                ReplicaError::ObjectStore,
            ),
            (
                "failed to access object store bucket \".\" (bucket must be created beforehand): nats: bucket not found",
                ReplicaError::ObjectStore,
            ),
            ("mkdir /backup/ltx: not a directory", ReplicaError::NoFolder),
            ("something new", ReplicaError::Other),
        ] {
            assert_eq!(ReplicaError::of(words), kind, "{words}");
        }
    }
}
