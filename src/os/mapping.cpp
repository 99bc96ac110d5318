#include "os/mapping.hpp"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace ferry::os {
namespace {

constexpr std::uint32_t k_huge_page = 2u << 20;
constexpr int k_size_seals = F_SEAL_SHRINK | F_SEAL_GROW;

std::string bytes_text(std::size_t size) { return std::to_string(size) + " bytes of shared memory"; }

// Beyond this limit the kernel does not only refuse, it ends the process (SIGXFSZ).
result<void> check_file_limit(std::size_t size) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || size <= limit.rlim_cur) return {};
  return error(errc::no_memory,
               "no room for " + bytes_text(size) + ": files of this process may have " +
                   std::to_string(limit.rlim_cur) +
                   " bytes at most: choose a smaller ring_bytes, or raise that limit (ulimit -f)",
               EFBIG);
}

// Takes the memory now, so that nobody gets a SIGBUS for the lack of it later.
result<void> reserve(int fd, std::size_t size, const std::string& what, int mode = 0) {
  int failed = 0;
  do {
    failed = ::fallocate(fd, mode, 0, static_cast<off_t>(size)) == 0 ? 0 : errno;
  } while (failed == EINTR);
  if (failed == EOPNOTSUPP) failed = ::posix_fallocate(fd, 0, static_cast<off_t>(size));
  if (failed == ENOSPC || failed == ENOMEM || failed == EFBIG || failed == EDQUOT)
    return error(errc::no_memory,
                 "no room for " + bytes_text(size) + what +
                     ": choose a smaller ring_bytes, or raise the limit of the file system, cgroup or container",
                 failed);
  if (failed != 0) return error::from_errno(failed, "reserve " + bytes_text(size) + what);
  return {};
}

error no_address_space(std::size_t size) {
  return {errc::no_memory,
          "no address space for " + bytes_text(size) +
              ": choose a smaller ring_bytes, or raise the limit (ulimit -v, sysctl vm.max_map_count)",
          ENOMEM};
}

}  // namespace

mapping::~mapping() {
  if (!at_.empty()) ::munmap(at_.data(), at_.size());
}

result<mapping> mapping::of(int fd, std::size_t size, bool writable, bool prefault) {
  const int rights = PROT_READ | (writable ? PROT_WRITE : 0);
  void* const at = ::mmap(nullptr, size, rights, MAP_SHARED | (prefault ? MAP_POPULATE : 0), fd, 0);
  if (at == MAP_FAILED && errno == ENOMEM) return no_address_space(size);
  if (at == MAP_FAILED) return error::from_errno(errno, "map " + bytes_text(size));
  return mapping(std::span(static_cast<std::byte*>(at), size));
}

result<mapping> mapping::private_copy(int fd, std::size_t size) {
  void* const at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
  if (at == MAP_FAILED && errno == ENOMEM) return no_address_space(size);
  if (at == MAP_FAILED) return error::from_errno(errno, "map " + bytes_text(size));
  return mapping(std::span(static_cast<std::byte*>(at), size));
}

result<void> mapping::make_writable(int fd, std::size_t offset, std::size_t size) {
  void* const at =
      ::mmap(at_.data() + offset, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, static_cast<off_t>(offset));
  if (at == MAP_FAILED && errno == ENOMEM) return no_address_space(size);
  if (at == MAP_FAILED) return error::from_errno(errno, "map the shared page of a ring");
  return {};
}

std::uint32_t page_bytes(bool huge) noexcept {
  return huge ? k_huge_page : static_cast<std::uint32_t>(::sysconf(_SC_PAGESIZE));
}

result<unique_fd> create_memory(const std::string& name, std::size_t size, bool huge) {
  if (huge) size = (size + k_huge_page - 1) / k_huge_page * k_huge_page;
  if (const auto fits = check_file_limit(size); !fits) return fits.error();
  unique_fd fd(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING | (huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0)));
  if (!fd) return error::from_errno(errno, "make " + bytes_text(size));
  if (const auto reserved = reserve(fd.get(), size, huge ? " in huge pages (see vm.nr_hugepages)" : ""); !reserved)
    return reserved.error();
  if (::fcntl(fd.get(), F_ADD_SEALS, k_size_seals | F_SEAL_SEAL) != 0)
    return error::from_errno(errno, "seal the size of " + bytes_text(size));
  return fd;
}

result<std::size_t> check_foreign_memory(int fd) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & k_size_seals) != k_size_seals)
    return error(errc::corrupt, "the peer's memory is not sealed in size: it could be cut off while it is read");
  struct stat about {};
  if (::fstat(fd, &about) != 0) return error::from_errno(errno, "look at the peer's memory");
  return static_cast<std::size_t>(about.st_size);
}

result<unique_fd> create_file(const std::string& path, std::size_t size) {
  if (const auto fits = check_file_limit(size); !fits) return fits.error();
  unique_fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return error::from_errno(errno, "make the file " + path);
  if (const auto reserved = reserve(fd.get(), size, " in " + path); !reserved) {
    ::unlink(path.c_str());  // ours: made above, and nobody has been told
    return reserved.error();
  }
  return fd;
}

result<void> allocate_file(int fd, std::size_t size, const std::string& path) {
  if (const auto fits = check_file_limit(size); !fits) return fits.error();
  if (const auto reserved = reserve(fd, size, " in " + path, FALLOC_FL_KEEP_SIZE); !reserved) return reserved.error();
  if (::ftruncate(fd, static_cast<off_t>(size)) != 0) return error::from_errno(errno, "make " + path + " longer");
  return {};
}

result<unique_fd> open_file(const std::string& path, bool writable) {
  unique_fd fd(::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd) return error::from_errno(errno, "open " + path);
  struct stat about {};
  if (::fstat(fd.get(), &about) != 0) return error::from_errno(errno, "look at " + path);
  if (!S_ISREG(about.st_mode)) return error(errc::bad_address, path + " is not a file");
  if (writable && about.st_uid != ::geteuid() && about.st_uid != 0 && ::geteuid() != 0)
    return error(errc::auth, path + " belongs to user " + std::to_string(about.st_uid) + ", not to " +
                                 std::to_string(::geteuid()) + ": run as that user, or remove the file");
  return fd;
}

result<std::size_t> file_size(int fd, const std::string& path) {
  struct stat about {};
  if (::fstat(fd, &about) != 0) return error::from_errno(errno, "look at " + path);
  return static_cast<std::size_t>(about.st_size);
}

}  // namespace ferry::os
