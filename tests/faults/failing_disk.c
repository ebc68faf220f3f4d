/* A disk that fails: preloaded, it makes calls of the C library fail below a folder.
 *
 * fail(folder, call, number, error, forever) arms it: the number-th call of that name
 * (from 1) on a file below the folder fails with this errno, and all later ones if
 * `forever`. Calls are "open" (for writing), "write", "fsync", "rename" and "mkdir".
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static char folder[PATH_MAX];
static const char *failing = "";
static char name_of_call[16];
static int number, error_number, forever, calls;

void fail(const char *where, const char *call, int n, int error, int always) {
  strncpy(folder, where, sizeof folder - 1);
  strncpy(name_of_call, call, sizeof name_of_call - 1);
  failing = name_of_call;
  number = n, error_number = error, forever = always, calls = 0;
}

/* How often the call was made. */
int count(void) { return calls; }

static int below(const char *path) {
  size_t n = strlen(folder);
  return n && path && strncmp(path, folder, n) == 0;
}

static int fails(const char *call, const char *path) {
  if (strcmp(call, failing) != 0) return 0;
  int before = errno;
  char whole[PATH_MAX];
  if (path && path[0] != '/') {
    char current[PATH_MAX / 2];
    if (!getcwd(current, sizeof current)) return 0;
    snprintf(whole, sizeof whole, "%s/%s", current, path);
    path = whole;
  }
  errno = before;
  if (!below(path)) return 0;
  ++calls;
  if (calls != number && !(forever && calls > number)) return 0;
  errno = error_number;
  return 1;
}

static int fails_at(const char *call, int descriptor) {
  if (strcmp(call, failing) != 0) return 0;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = 0;
  return fails(call, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRITES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT))

#define OPEN(name)                                        \
  int name(const char *path, int flags, ...) {            \
    va_list rest;                                         \
    va_start(rest, flags);                                \
    mode_t mode = va_arg(rest, mode_t);                   \
    va_end(rest);                                         \
    if (WRITES(flags) && fails("open", path)) return -1;  \
    return REAL(name)(path, flags, mode);                 \
  }
OPEN(open)
OPEN(open64)

ssize_t write(int descriptor, const void *data, size_t size) {
  return fails_at("write", descriptor) ? -1 : REAL(write)(descriptor, data, size);
}

int fsync(int descriptor) {
  return fails_at("fsync", descriptor) ? -1 : REAL(fsync)(descriptor);
}

int rename(const char *from, const char *to) {
  return fails("rename", to) ? -1 : REAL(rename)(from, to);
}

int mkdir(const char *path, mode_t mode) {
  return fails("mkdir", path) ? -1 : REAL(mkdir)(path, mode);
}
