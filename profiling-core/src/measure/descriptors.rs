//! Open file descriptors, and what the sockets among them are connected to; Linux only.

/// An open file descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Descriptor {
    number: i32,
    device: u64,
    /// With the device, identifies what it leads to for as long as it is open.
    pub inode: u64,
    /// Whether it leads to a socket.
    pub is_socket: bool,
}

/// What a socket is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// Waits for others to connect.
    Listens {
        /// Its address, such as `127.0.0.1:4711`, or a path.
        at: String,
    },
    /// Is connected.
    Connected {
        /// The address of the other side.
        to: String,
    },
}

/// How many file descriptors this process has open; `None` where the platform doesn't tell.
#[must_use]
pub fn count() -> Option<u64> {
    os::count()
}

/// How many another process has open, of which this process may be told.
#[must_use]
pub fn count_of(process: u32) -> Option<u64> {
    os::count_of(process)
}

/// Makes of what this process had open at an earlier look, or of nothing, what it has open now, in order; nothing
/// where the platform doesn't tell.
pub fn list(known: &mut Vec<Descriptor>) {
    os::list(known);
    known.sort_unstable();
}

impl Descriptor {
    /// What a socket is for; `None` for anything else, and where it neither listens nor is connected to anything
    /// with an address, as the two ends of a pair within the process are not.
    #[must_use]
    pub fn connection(&self) -> Option<Connection> {
        if self.is_socket { os::connection(self.number) } else { None }
    }

    /// A socket's own address.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        if self.is_socket { os::own_address(self.number) } else { None }
    }

    /// Whether both lead to the same socket.
    #[must_use]
    pub fn is_same_socket(&self, other: &Self) -> bool {
        self.is_socket && other.is_socket && (self.device, self.inode) == (other.device, other.inode)
    }
}

#[cfg(target_os = "linux")]
mod os {
    use std::fs;
    use std::mem::{self, MaybeUninit};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

    use super::{Connection, Descriptor};

    const DIRECTORY: &str = "/proc/self/fd";

    pub(super) fn count() -> Option<u64> {
        // Where it is read, the directory itself is open meanwhile.
        size(DIRECTORY).or_else(|| entries(DIRECTORY).map(|count| count.saturating_sub(1)))
    }

    pub(super) fn count_of(process: u32) -> Option<u64> {
        let directory = format!("/proc/{process}/fd");
        size(&directory).or_else(|| entries(&directory))
    }

    /// The directory's size is their number, since Linux 6.2.
    fn size(directory: &str) -> Option<u64> {
        Some(fs::metadata(directory).ok()?.len()).filter(|&count| count > 0)
    }

    fn entries(directory: &str) -> Option<u64> {
        Some(fs::read_dir(directory).ok()?.count() as u64)
    }

    /// A call for each number is sooner done than reading the directory, if it can be told when all were found.
    pub(super) fn list(known: &mut Vec<Descriptor>) {
        let count = size(DIRECTORY).map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX));
        known.retain_mut(|one| describe(one.number).map(|now| *one = now).is_some());
        let still = known.len();
        // New ones take the lowest numbers.
        for number in 0..i32::try_from(count).map_or(0, |count| count.saturating_add(16)) {
            if known.len() >= count {
                return;
            }
            if known[..still].binary_search_by_key(&number, |one| one.number).is_err() {
                known.extend(describe(number));
            }
        }
        if known.len() < count {
            list_directory(known);
        }
    }

    fn list_directory(into: &mut Vec<Descriptor>) {
        into.clear();
        let entries = fs::read_dir(DIRECTORY).into_iter().flatten().flatten();
        let numbers: Vec<i32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        // The directory itself is closed by now.
        into.extend(numbers.into_iter().filter_map(describe));
    }

    /// What a descriptor leads to; `None` for one that isn't open.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion, reason = "their sizes differ between targets")]
    fn describe(number: i32) -> Option<Descriptor> {
        let mut status = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: `status` is valid for a write of one `stat`, which is all that the call does.
        if unsafe { libc::fstat(number, status.as_mut_ptr()) } != 0 {
            return None;
        }
        // SAFETY: the call succeeded, so it has written the whole `stat`.
        let status = unsafe { status.assume_init() };
        let is_socket = status.st_mode & libc::S_IFMT == libc::S_IFSOCK;
        Some(Descriptor { number, device: status.st_dev as u64, inode: status.st_ino as u64, is_socket })
    }

    pub(super) fn own_address(descriptor: i32) -> Option<String> {
        address(descriptor, libc::getsockname)
    }

    pub(super) fn connection(descriptor: i32) -> Option<Connection> {
        if listens(descriptor) {
            return Some(Connection::Listens { at: address(descriptor, libc::getsockname)? });
        }
        // The side that has accepted a connection at a path sees no address of the other's.
        let to = address(descriptor, libc::getpeername)
            .or_else(|| peer_is_unnamed(descriptor).then(|| address(descriptor, libc::getsockname)).flatten())?;
        Some(Connection::Connected { to })
    }

    fn listens(descriptor: i32) -> bool {
        let mut listens: libc::c_int = 0;
        let mut length = socklen::<libc::c_int>();
        // SAFETY: `listens` is valid for a write of `length` bytes, which is what the call writes at most.
        let status = unsafe {
            libc::getsockopt(
                descriptor,
                libc::SOL_SOCKET,
                libc::SO_ACCEPTCONN,
                (&raw mut listens).cast(),
                &raw mut length,
            )
        };
        status == 0 && listens != 0
    }

    type GetName = unsafe extern "C" fn(libc::c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int;

    fn name(descriptor: i32, get: GetName) -> Option<(libc::sockaddr_storage, usize)> {
        let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
        let mut length = socklen::<libc::sockaddr_storage>();
        // SAFETY: `storage` is valid for a write of `length` bytes, which is what the call writes at most.
        let status = unsafe { get(descriptor, storage.as_mut_ptr().cast(), &raw mut length) };
        // SAFETY: all bytes are initialised, and every pattern of them is a `sockaddr_storage`.
        (status == 0).then(|| (unsafe { storage.assume_init() }, length as usize))
    }

    fn peer_is_unnamed(descriptor: i32) -> bool {
        let family_alone = mem::size_of::<libc::sa_family_t>();
        name(descriptor, libc::getpeername)
            .is_some_and(|(peer, length)| i32::from(peer.ss_family) == libc::AF_UNIX && length <= family_alone)
    }

    /// An address that says where something is; `None` for none, and for a socket without a name.
    fn address(descriptor: i32, get: GetName) -> Option<String> {
        let (storage, length) = name(descriptor, get)?;
        match i32::from(storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: a `sockaddr_storage` is large enough and aligned for every kind of address, and
                // its family says that this is a `sockaddr_in`.
                let inet = unsafe { &*(&raw const storage).cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(u32::from_be(inet.sin_addr.s_addr));
                Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(inet.sin_port)).to_string())
            }
            libc::AF_INET6 => {
                // SAFETY: as above, of a `sockaddr_in6`.
                let inet = unsafe { &*(&raw const storage).cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(inet.sin6_addr.s6_addr);
                Some(SocketAddr::new(IpAddr::V6(ip), u16::from_be(inet.sin6_port)).to_string())
            }
            libc::AF_UNIX => {
                // SAFETY: as above, of a `sockaddr_un`.
                let unix = unsafe { &*(&raw const storage).cast::<libc::sockaddr_un>() };
                let length = length.checked_sub(mem::offset_of!(libc::sockaddr_un, sun_path))?;
                let path: Vec<u8> = unix.sun_path.iter().take(length).map(|&byte| byte.cast_unsigned()).collect();
                unix_name(&path)
            }
            _ => None,
        }
    }

    /// A path, or an abstract name, which begins with a zero.
    fn unix_name(path: &[u8]) -> Option<String> {
        match path {
            [] => None,
            [0, name @ ..] => Some(format!("@{}", String::from_utf8_lossy(name))),
            path => {
                let end = path.iter().position(|&byte| byte == 0).unwrap_or(path.len());
                Some(String::from_utf8_lossy(&path[..end]).into_owned())
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a hundred bytes at most")]
    const fn socklen<T>() -> libc::socklen_t {
        mem::size_of::<T>() as libc::socklen_t
    }

    #[cfg(test)]
    mod tests {
        use std::net::{TcpListener, TcpStream, UdpSocket};
        use std::os::fd::AsRawFd;
        use std::os::unix::net::{UnixListener, UnixStream};

        use super::*;

        fn of(socket: &impl AsRawFd) -> Option<Connection> {
            let mut open = Vec::new();
            list(&mut open);
            let found = open.into_iter().find(|open| open.number == socket.as_raw_fd());
            found.expect("it is open").connection()
        }

        #[test]
        fn sockets_have_addresses() {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let at = listener.local_addr().expect("bound").to_string();
            assert_eq!(of(&listener), Some(Connection::Listens { at: at.clone() }));
            let client = TcpStream::connect(&at).expect("it listens");
            assert_eq!(of(&client), Some(Connection::Connected { to: at }));
            let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
            assert_eq!(of(&udp), None, "it is connected to nothing");
        }

        #[test]
        fn a_pair_within_the_process_is_no_connection() {
            let (one, other) = UnixStream::pair().expect("possible");
            assert_eq!((of(&one), of(&other)), (None, None));
        }

        #[test]
        fn sockets_at_a_path_are_known_from_both_sides() {
            let directory = tempfile::tempdir().expect("possible");
            let path = directory.path().join("s");
            let listener = UnixListener::bind(&path).expect("possible");
            let client = UnixStream::connect(&path).expect("it listens");
            let (server, _) = listener.accept().expect("somebody has connected");
            let at = path.display().to_string();
            assert_eq!(of(&listener), Some(Connection::Listens { at: at.clone() }));
            assert_eq!(of(&client), Some(Connection::Connected { to: at.clone() }));
            assert_eq!(of(&server), Some(Connection::Connected { to: at }));
        }

        #[test]
        fn both_ways_list_the_same() {
            let file = fs::File::open("/dev/null").expect("there is one");
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
            let [mut one, mut other] = [Vec::new(), Vec::new()];
            list(&mut one);
            list_directory(&mut other);
            for (number, is_socket) in [(file.as_raw_fd(), false), (socket.as_raw_fd(), true)] {
                let found = [&one, &other].map(|open| open.iter().find(|open| open.number == number).copied());
                assert_eq!(found[0], found[1]);
                assert_eq!(found[0].map(|open| open.is_socket), Some(is_socket));
            }
        }

        #[test]
        fn descriptors_are_counted() {
            let before = count().expect("Linux tells");
            let files: Vec<fs::File> = (0..100).map(|_| fs::File::open("/dev/null").expect("there is one")).collect();
            // Other tests open and close some at the same time.
            assert!(count().expect("Linux tells") + 50 >= before + files.len() as u64);
            assert!(before > 0);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod os {
    use super::{Connection, Descriptor};

    pub(super) fn count() -> Option<u64> {
        None
    }

    pub(super) fn count_of(_process: u32) -> Option<u64> {
        None
    }

    pub(super) fn list(_into: &mut Vec<Descriptor>) {}

    pub(super) fn own_address(_descriptor: i32) -> Option<String> {
        None
    }

    pub(super) fn connection(_descriptor: i32) -> Option<Connection> {
        None
    }
}
