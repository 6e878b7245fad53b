/* Preloaded into a process: counts its operations on files below SHIM_DIR, and does SHIM_DO at operation SHIM_AT.
 * SHIM_DO: kill_before kill_after torn short EIO ENOSPC EMFILE EACCES EROFS, or nothing. SHIM_LOG is told of each one.
 * A sync does not end while the file SHIM_HANG exists; SHIM_HANG.reached is made when the first one begins to wait. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_int count;
static int at = -1, log_fd = -1, ready;
static const char *dir, *what, *hang;
static char tracked[4096];

static void init(void) {
  if (ready) return;
  ready = 1;
  dir = getenv("SHIM_DIR");
  what = getenv("SHIM_DO");
  hang = getenv("SHIM_HANG");
  if (getenv("SHIM_AT")) at = atoi(getenv("SHIM_AT"));
  if (getenv("SHIM_LOG")) log_fd = syscall(SYS_openat, AT_FDCWD, getenv("SHIM_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int ours(const char *path) {
  init();
  return dir && path && strncmp(path, dir, strlen(dir)) == 0;
}

static int known(int fd) {
  init();
  return fd >= 0 && fd < (int)sizeof tracked && tracked[fd];
}

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

static int code(void) {
  if (!strcmp(what, "EIO")) return EIO;
  if (!strcmp(what, "ENOSPC")) return ENOSPC;
  if (!strcmp(what, "EMFILE")) return EMFILE;
  if (!strcmp(what, "EACCES")) return EACCES;
  if (!strcmp(what, "EROFS")) return EROFS;
  return 0;
}

/* 0: go on; 1: go on and die; 2: half of it; 3: half of it, and die; -1: fail, errno is set */
static int enter(const char *op) {
  int n = atomic_fetch_add(&count, 1) + 1;
  if (log_fd >= 0) {
    char line[64];
    int length = snprintf(line, sizeof line, "%d %s\n", n, op);
    syscall(SYS_write, log_fd, line, length);
  }
  if (n != at || !what) return 0;
  if (!strcmp(what, "kill_before")) die();
  if (!strcmp(what, "kill_after")) return 1;
  if (!strcmp(what, "short")) return 2;
  if (!strcmp(what, "torn")) return 3;
  if (code()) {
    errno = code();
    return -1;
  }
  return 0;
}

#define REAL(type, name, ...) \
  static type (*real)(__VA_ARGS__); \
  if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

#define LEAVE(how, result) \
  do { \
    if ((how) == 1 || (how) == 3) die(); \
    return result; \
  } while (0)

static int opened(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode) {
  if (!ours(path)) {
    int other = real(path, flags, mode);
    if (known(other)) tracked[other] = 0; /* its number was one of ours, and was closed past us */
    return other;
  }
  int how = enter(flags & O_CREAT ? "create" : "open");
  if (how < 0) return -1;
  int fd = real(path, flags, mode);
  if (fd >= 0 && fd < (int)sizeof tracked) tracked[fd] = 1;
  LEAVE(how, fd);
}

int open64(const char *path, int flags, ...) {
  REAL(int, open64, const char *, int, ...);
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return opened(real, path, flags, mode);
}

int open(const char *path, int flags, ...) {
  REAL(int, open, const char *, int, ...);
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return opened(real, path, flags, mode);
}

int close(int fd) {
  REAL(int, close, int);
  if (!known(fd)) return real(fd);
  tracked[fd] = 0;
  int how = enter("close");
  int result = real(fd);
  if (how < 0) {
    errno = code();
    return -1;
  }
  LEAVE(how, result);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t position) {
  REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
  if (!known(fd)) return real(fd, bytes, length, position);
  int how = enter("write");
  if (how < 0) return -1;
  ssize_t result = real(fd, bytes, how >= 2 && length > 1 ? length / 2 : length, position);
  LEAVE(how, result);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int number, off64_t position) {
  REAL(ssize_t, pwritev64, int, const struct iovec *, int, off64_t);
  if (!known(fd)) return real(fd, parts, number, position);
  int how = enter("write");
  if (how < 0) return -1;
  ssize_t result = real(fd, parts, how >= 2 ? 1 : number, position);
  LEAVE(how, result);
}

ssize_t pread64(int fd, void *bytes, size_t length, off64_t position) {
  REAL(ssize_t, pread64, int, void *, size_t, off64_t);
  if (!known(fd)) return real(fd, bytes, length, position);
  int how = enter("read");
  if (how < 0) return -1;
  ssize_t result = real(fd, bytes, how >= 2 && length > 1 ? length / 2 : length, position);
  LEAVE(how, result);
}

static void wait_while_hung(void) {
  if (!hang || syscall(SYS_faccessat, AT_FDCWD, hang, F_OK)) return;
  char reached[4096];
  snprintf(reached, sizeof reached, "%s.reached", hang);
  syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, reached, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  while (!syscall(SYS_faccessat, AT_FDCWD, hang, F_OK)) usleep(10000);
}

#define ON_FD(name, op) \
  int name(int fd) { \
    REAL(int, name, int); \
    if (!known(fd)) return real(fd); \
    wait_while_hung(); \
    int how = enter(op); \
    if (how < 0) return -1; \
    int result = real(fd); \
    LEAVE(how, result); \
  }
ON_FD(fsync, "fsync")
ON_FD(fdatasync, "fdatasync")

int ftruncate64(int fd, off64_t length) {
  REAL(int, ftruncate64, int, off64_t);
  if (!known(fd)) return real(fd, length);
  int how = enter("truncate");
  if (how < 0) return -1;
  int result = real(fd, length);
  LEAVE(how, result);
}

#define ON_TWO_PATHS(name) \
  int name(const char *from, const char *to) { \
    REAL(int, name, const char *, const char *); \
    if (!ours(from) && !ours(to)) return real(from, to); \
    int how = enter(#name); \
    if (how < 0) return -1; \
    int result = real(from, to); \
    LEAVE(how, result); \
  }
ON_TWO_PATHS(rename)
ON_TWO_PATHS(link)

int unlink(const char *path) {
  REAL(int, unlink, const char *);
  if (!ours(path)) return real(path);
  int how = enter("unlink");
  if (how < 0) return -1;
  int result = real(path);
  LEAVE(how, result);
}

int mkdir(const char *path, mode_t mode) {
  REAL(int, mkdir, const char *, mode_t);
  if (!ours(path)) return real(path, mode);
  int how = enter("mkdir");
  if (how < 0) return -1;
  int result = real(path, mode);
  LEAVE(how, result);
}

int scandir64(const char *path, struct dirent64 ***names, int (*filter)(const struct dirent64 *),
              int (*order)(const struct dirent64 **, const struct dirent64 **)) {
  REAL(int, scandir64, const char *, struct dirent64 ***, int (*)(const struct dirent64 *),
       int (*)(const struct dirent64 **, const struct dirent64 **));
  if (!ours(path)) return real(path, names, filter, order);
  int how = enter("names");
  if (how < 0) return -1;
  int result = real(path, names, filter, order);
  LEAVE(how, result);
}
