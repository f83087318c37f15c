//! The main job on servers of each kind that Litestream speaks to, real ones, started by each test.
//!
//! ```text
//! backend    one kind of server, and how a database is put on it
//! scenarios  what must hold on all of them
//! azure      azurite, from npm
//! gcs        fake-gcs-server, from PyPI
//! leases     what must hold where one machine at a time has a place
//! nats       Debian's nats-server
//! s3         the server of this suite
//! sftp       Debian's sshd
//! webdav     Debian's apache2
//! ```

mod azure;
mod backend;
mod gcs;
mod leases;
mod nats;
mod s3;
mod scenarios;
mod sftp;
mod webdav;

/// Each scenario with each kind: `name: the function that starts its server`.
macro_rules! table {
    ($($name:ident: $start:path,)+) => {
        $(mod $name {
            use super::{$start as start, scenarios};
            use crate::support::world::World;

            #[test]
            fn does_the_main_job() {
                let world = World::new();
                scenarios::main_job(&world, &start(&world));
            }

            #[test]
            fn may_be_away_at_any_time() {
                let world = World::new();
                scenarios::away(&world, start(&world));
            }

            #[test]
            fn says_what_it_refuses() {
                let world = World::new();
                scenarios::refused(&world, &start(&world));
            }

            #[test]
            fn takes_several_databases() {
                let world = World::new();
                scenarios::several(&world, &start(&world));
            }

            #[test]
            fn is_tried_before_an_app_begins() {
                let world = World::new();
                scenarios::tried(&world, start(&world));
            }

            #[test]
            fn is_tried_by_check() {
                let world = World::new();
                scenarios::checked(&world, &start(&world));
            }
        })+
    };
}

/// Each scenario with each kind where a client of our own can look: the same.
macro_rules! looked_at {
    ($($name:ident: $start:path,)+) => {
        $(mod $name {
            use super::{$start as start, scenarios};
            use crate::support::world::World;

            #[test]
            fn belongs_to_one_database() {
                let world = World::new();
                scenarios::another(&world, &start(&world));
            }

            #[test]
            fn is_marked_on_condition_and_its_files_are_read() {
                let world = World::new();
                scenarios::asked(&world, &start(&world));
            }

            #[test]
            fn is_seen_to_be_emptied() {
                let world = World::new();
                scenarios::emptied(&world, &start(&world));
            }
        })+
    };
}

/// Each scene of two machines with each kind where a lock can be: the same, and the function that starts a server that keeps to no
/// conditions.
macro_rules! leased {
    ($($name:ident: $start:path, $careless:path,)+) => {
        $(mod $name {
            use super::{$careless as careless, $start as start, leases};

            #[test]
            fn has_a_lock_that_is_given_up_at_the_end() {
                leases::given_up(start);
            }

            #[test]
            fn is_refused_to_a_second_machine() {
                leases::second(start);
            }

            #[test]
            fn is_the_next_machines_when_the_first_one_has_ended() {
                leases::next(start);
            }

            #[test]
            fn is_waited_for_elsewhere_when_one_died_and_not_on_its_own_volume() {
                leases::died(start);
            }

            #[test]
            fn is_not_written_to_by_a_machine_that_wakes_up() {
                leases::woken(start);
            }

            #[test]
            fn is_held_strictly() {
                leases::strict(start);
            }

            #[test]
            fn is_held_by_nobody_without_conditions() {
                leases::careless(careless);
            }
        })+
    };
}

leased! {
    azure_leased: azure::start, azure::start_careless,
    gcs_leased: gcs::start_in_memory, gcs::start_careless,
    s3_leased: s3::start, s3::start_careless,
}

looked_at! {
    azure_looked_at: azure::start,
    azure_looked_at_by_token: azure::start_by_token,
    gcs_looked_at: gcs::start_in_memory,
    s3_looked_at: s3::start,
}

table! {
    on_azure: azure::start,
    on_gcs: gcs::start,
    on_nats: nats::start,
    on_s3: s3::start,
    on_s3_over_tls: s3::start_over_tls,
    on_sftp: sftp::start,
    on_webdav: webdav::start,
}
