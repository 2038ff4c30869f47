//! A program that tries to do more than the policy of whoever had it executed allows.
//!
//! `rex-intruder ROOT ATTEMPT` makes one and ends with 0 if it succeeded; with 1 and the reason if it was refused; with 2 where
//! it failed otherwise, which proves nothing. Without arguments it names all attempts. Those that begin with `control` are what
//! the policy of the tests allows, and must succeed.

use nix::fcntl::{AT_FDCWD, OFlag, RenameFlags, open, renameat2};
use nix::sys::stat::{Mode, SFlag, mknod};
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown, symlink};
use std::os::unix::process::parent_id;
use std::path::Path;
use std::process::ExitCode;

type Attempt = fn(&Path) -> io::Result<()>;

const ATTEMPTS: &[(&str, Attempt)] = &[
    ("control: read what may be read", |root| fs::read(root.join("open/data")).map(drop)),
    ("control: list what may be read", |root| fs::read_dir(root.join("open")).map(drop)),
    ("control: create, write and delete", |root| {
        fs::write(root.join("open/new"), "x")?;
        fs::remove_file(root.join("open/new"))
    }),
    ("control: make and remove a directory", |root| {
        fs::create_dir(root.join("open/dir"))?;
        fs::remove_dir(root.join("open/dir"))
    }),
    ("control: start a thread", |_| std::thread::spawn(|| ()).join().map_err(|_| io::Error::other("it panicked"))),
    ("control: it has no descriptor but its streams, and no new privileges", |_| {
        let leaked = (3..4096).filter(|number| is_open(*number)).count();
        let bound = nix::sys::prctl::get_no_new_privs()?;
        if leaked == 0 && bound { Ok(()) } else { Err(io::Error::other(format!("{leaked} are open, {bound}"))) }
    }),
    ("read", |root| fs::read(root.join("secret/data")).map(drop)),
    ("list", |root| fs::read_dir(root.join("secret")).map(drop)),
    ("write", |root| fs::OpenOptions::new().write(true).open(root.join("secret/data")).map(drop)),
    ("append", |root| fs::OpenOptions::new().append(true).open(root.join("secret/data")).map(drop)),
    ("truncate", |root| Ok(nix::unistd::truncate(&root.join("secret/data"), 0)?)),
    ("create", |root| fs::write(root.join("secret/new"), "x")),
    ("delete", |root| fs::remove_file(root.join("secret/data"))),
    ("make a directory", |root| fs::create_dir(root.join("secret/dir"))),
    ("remove a directory", |root| fs::remove_dir(root.join("secret/empty"))),
    ("move out", |root| fs::rename(root.join("secret/data"), root.join("open/moved"))),
    ("move in", |root| fs::rename(root.join("open/data"), root.join("secret/moved"))),
    ("exchange", |root| {
        let (one, other) = (root.join("open/data"), root.join("secret/data"));
        Ok(renameat2(AT_FDCWD, &one, AT_FDCWD, &other, RenameFlags::RENAME_EXCHANGE)?)
    }),
    ("hard link out", |root| fs::hard_link(root.join("secret/data"), root.join("open/linked"))),
    ("hard link in", |root| fs::hard_link(root.join("open/data"), root.join("secret/linked"))),
    ("read through a link", |root| {
        symlink(root.join("secret/data"), root.join("open/link"))?;
        let read = fs::read(root.join("open/link")).map(drop);
        fs::remove_file(root.join("open/link"))?;
        read
    }),
    ("read by way of the parent", |root| fs::read(root.join("open/../secret/data")).map(drop)),
    ("read by way of /proc", |root| {
        let dir = open(root, OFlag::O_PATH, Mode::empty())?;
        fs::read(format!("/proc/self/fd/{}/secret/data", dir.as_raw_fd())).map(drop)
    }),
    ("change the mode", |root| fs::set_permissions(root.join("secret/data"), PermissionsExt::from_mode(0o777))),
    ("change the mode, also of what may be written", |root| {
        fs::set_permissions(root.join("open/data"), PermissionsExt::from_mode(0o4777))
    }),
    ("change the owner", |root| chown(root.join("secret/data"), Some(1), Some(1))),
    ("change the owner, also of what may be written", |root| chown(root.join("open/data"), Some(1), Some(1))),
    ("set an attribute", |root| set_attribute(&root.join("secret/data"))),
    ("set an attribute, also of what may be written", |root| set_attribute(&root.join("open/data"))),
    ("set a flag of what may be read", |root| {
        const SET_FLAGS: u64 = 0x4008_6602; // FS_IOC_SETFLAGS, linux/fs.h
        let no_dump = 0x40_u64; // FS_NODUMP_FL
        let file = fs::File::open(root.join("open/data"))?;
        call(
            libc::SYS_ioctl,
            [file.as_raw_fd().cast_unsigned().into(), SET_FLAGS, (&raw const no_dump).addr() as u64, 0],
        )
    }),
    ("read attributes", |root| {
        let (path, mut names) = (c_path(&root.join("secret/data"))?, [0_u8; 256]);
        call(libc::SYS_listxattr, [path.as_ptr().addr() as u64, names.as_mut_ptr().addr() as u64, 256, 0])
    }),
    ("make a program that runs as its owner", |root| {
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o4755).open(root.join("open/set-id"));
        let _ = fs::remove_file(root.join("open/set-id"));
        made.map(drop)
    }),
    ("make a program that runs as its owner, in another way", |root| {
        let made = mknod(&root.join("open/set-id"), SFlag::S_IFREG, Mode::from_bits_retain(0o6755), 0);
        let _ = fs::remove_file(root.join("open/set-id"));
        Ok(made?)
    }),
    ("make a program that runs as its owner, in a newer way", |root| {
        let how: [u64; 3] = [(libc::O_CREAT | libc::O_WRONLY).cast_unsigned().into(), 0o4755, 0];
        let path = c_path(&root.join("open/set-id"))?;
        let here = i64::from(libc::AT_FDCWD).cast_unsigned();
        let made = call(libc::SYS_openat2, [here, path.as_ptr().addr() as u64, how.as_ptr().addr() as u64, 24]);
        let _ = fs::remove_file(root.join("open/set-id"));
        made
    }),
    ("give a second name", |root| fs::hard_link(root.join("open/hidden"), root.join("open/linked"))),
    ("give another name", |root| fs::rename(root.join("open/hidden"), root.join("open/shown"))),
    ("watch what others do", |_| call(libc::SYS_inotify_init1, [0; 4])),
    ("watch what others do, in a newer way", |_| {
        const BY_FILE_HANDLE: u64 = 0x200; // FAN_REPORT_FID, linux/fanotify.h: without rights
        call(libc::SYS_fanotify_init, [BY_FILE_HANDLE, 0, 0, 0])
    }),
    ("make a device", |root| Ok(mknod(&root.join("open/device"), SFlag::S_IFCHR, Mode::S_IRWXU, 0x0101)?)),
    ("make a pipe", |root| Ok(nix::unistd::mkfifo(&root.join("open/pipe"), Mode::S_IRWXU)?)),
    ("read passwords", |_| fs::read("/etc/shadow").map(drop)),
    ("read users", |_| fs::read("/etc/passwd").map(drop)),
    ("list processes", |_| fs::read_dir("/proc").map(drop)),
    ("read another's environment", |_| fs::read("/proc/1/environ").map(drop)),
    ("read the supervisor's memory", |_| fs::read(format!("/proc/{}/mem", parent_id())).map(drop)),
    ("change the kernel's settings", |_| {
        fs::OpenOptions::new().write(true).open("/proc/sys/kernel/core_pattern").map(drop)
    }),
    ("start what it may not execute", |root| std::process::Command::new(root.join("open/tool")).status().map(drop)),
    ("start a program of the system", |_| std::process::Command::new("/usr/bin/id").status().map(drop)),
    ("start what lies among the libraries", |_| {
        // The C library can be started as a program on most systems. It says its version.
        let folders = ["/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64", "/lib"];
        let library = folders.iter().map(|folder| Path::new(folder).join("libc.so.6")).find(|path| path.exists());
        let library = library.ok_or_else(|| io::Error::from_raw_os_error(libc::EACCES))?;
        std::process::Command::new(library).stdout(std::process::Stdio::null()).status().map(drop)
    }),
    ("connect to the network", |_| std::net::TcpStream::connect("127.0.0.1:9").map(drop)),
    ("listen on the network", |_| std::net::TcpListener::bind("127.0.0.1:0").map(drop)),
    ("open a datagram socket", |_| std::net::UdpSocket::bind("127.0.0.1:0").map(drop)),
    ("ask another process by a socket", |root| {
        std::os::unix::net::UnixStream::connect(root.join("listener")).map(drop)
    }),
    ("send to another process by a pair of sockets", |root| {
        use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, sendto, socketpair};
        let (one, _other) = socketpair(AddressFamily::Unix, SockType::Datagram, None, SockFlag::empty())?;
        let address = UnixAddr::new(&root.join("mailbox"))?;
        Ok(sendto(one.as_raw_fd(), b"do it for me", &address, MsgFlags::empty()).map(drop)?)
    }),
    ("open a socket of the kernel", |_| socket(libc::AF_NETLINK, libc::SOCK_RAW)),
    ("open a packet socket", |_| socket(libc::AF_PACKET, libc::SOCK_RAW)),
    ("queue operations", |_| call(libc::SYS_io_uring_setup, [1, [0_u64; 15].as_ptr().addr() as u64, 0, 0])),
    ("trace the supervisor", |_| {
        const SEIZE: u64 = 0x4206; // PTRACE_SEIZE, linux/ptrace.h
        call(libc::SYS_ptrace, [SEIZE, parent_id().into(), 0, 0])
    }),
    ("make a user namespace", |_| Ok(nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER)?)),
    ("fork into a user namespace", |_| {
        call(libc::SYS_clone, [libc::CLONE_NEWUSER as u64 | libc::SIGCHLD as u64, 0, 0, 0])
    }),
    ("mount", |root| {
        let none: Option<&str> = None;
        Ok(nix::mount::mount(Some("tmpfs"), &root.join("open"), Some("tmpfs"), nix::mount::MsFlags::empty(), none)?)
    }),
    ("change the root", |root| Ok(nix::unistd::chroot(&root.join("open"))?)),
    ("open by a number", |_| call(libc::SYS_open_by_handle_at, [0, 0, 0, 0])),
    ("load a filter into the kernel", |_| call(libc::SYS_bpf, [0, 0, 0, 0])),
    ("set the clock", |_| call(libc::SYS_clock_settime, [0, 0, 0, 0])),
];

#[expect(clippy::print_stdout, reason = "this is how it tells the test")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [root, name] = arguments.as_slice() else {
        ATTEMPTS.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    match ATTEMPTS.iter().find(|(known, _)| known == name) {
        Some((_, attempt)) => match attempt(Path::new(root)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                println!("{error}");
                // Between two places that Landlock tells apart renaming and linking end like that (rename(2)).
                let refusals = [libc::EACCES, libc::EPERM, libc::ENOSYS, libc::EXDEV, libc::ENOTSUP];
                ExitCode::from(if error.raw_os_error().is_some_and(|errno| refusals.contains(&errno)) { 1 } else { 2 })
            }
        },
        None => ExitCode::from(3),
    }
}

fn is_open(number: i32) -> bool {
    // SAFETY: no memory is passed.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}

fn socket(family: i32, kind: i32) -> io::Result<()> {
    call(libc::SYS_socket, [u64::from(family.cast_unsigned()), u64::from(kind.cast_unsigned()), 0, 0])
}

fn c_path(path: &Path) -> io::Result<std::ffi::CString> {
    Ok(std::ffi::CString::new(path.as_os_str().as_encoded_bytes())?)
}

fn set_attribute(path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    let name = c"user.rex";
    call(libc::SYS_setxattr, [path.as_ptr().addr() as u64, name.as_ptr().addr() as u64, name.as_ptr().addr() as u64, 1])
}

/// A system call by its number; what it could write to lives longer.
fn call(number: libc::c_long, [a, b, c, d]: [u64; 4]) -> io::Result<()> {
    // SAFETY: the arguments are numbers, or addresses of values that live across the call and are as long as it reads.
    match unsafe { libc::syscall(number, a, b, c, d, 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
