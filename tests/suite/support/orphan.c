/* Preloaded into an app: ends one of its processes in the middle of a commit.
 *
 * With `synchronous = FULL` SQLite flushes the WAL between the frame that commits and the wal-index that counts it. The
 * first process that flushes a WAL then while there is a file named by ORPHAN takes the file away, which only one can,
 * and is killed. With ORPHAN_HELD it makes the file of that name instead, and waits for whoever kills it.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_wal(int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path);
  return length > 4 && memcmp(path + length - 4, "-wal", 4) == 0;
}

/* SQLite also flushes the header of a new run, before any frame has its salts. */
static int has_frames(int fd) {
  char header[32], frame[24];
  return pread(fd, header, sizeof header, 0) == sizeof header &&
         pread(fd, frame, sizeof frame, sizeof header) == sizeof frame &&
         memcmp(header + 16, frame + 8, 8) == 0;
}

static int flush(long call, int fd) {
  int result = syscall(call, fd);
  const char *orphan = getenv("ORPHAN"), *held = getenv("ORPHAN_HELD");
  if (result == 0 && orphan && is_wal(fd) && has_frames(fd) && unlink(orphan) == 0) {
    if (!held) kill(getpid(), SIGKILL);
    close(open(held, O_CREAT | O_WRONLY, 0600));
    for (;;) pause();
  }
  return result;
}

int fsync(int fd) { return flush(SYS_fsync, fd); }
int fdatasync(int fd) { return flush(SYS_fdatasync, fd); }
