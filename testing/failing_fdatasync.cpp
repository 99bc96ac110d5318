// Preloaded into a program (LD_PRELOAD): nothing of a file that it syncs by fdatasync() reaches the disk, and it is
// told.
#include <cerrno>

extern "C" int fdatasync(int /*fd*/) {
  errno = EIO;
  return -1;
}
