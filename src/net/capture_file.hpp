#pragma once
/// A file that what goes through streams is written to, for Wireshark and `ferry replay`.

#include <ferry/context.hpp>
#include <ferry/error.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/http_blanker.hpp"
#include "codec/pcap_writer.hpp"
#include "os/unique_fd.hpp"

namespace ferry::net {

/// One capture that several connections share. What one read or write of a stream moved is written at once, with one
/// system call, into the kernel's page cache: the file is whole at every moment, also if the process dies. When it has
/// reached its limit, or the disk is full, the capture ends at the last whole packet, and says so once; the streams go
/// on. Thread safety: all.
class capture_file {
 public:
  /// Makes the file, with mode 0600, or goes on with one that Ferry wrote (a packet that is not whole is cut off).
  /// @return busy: another process writes it | corrupt: it holds something else | permission, not_found ...
  [[nodiscard]] static result<std::shared_ptr<capture_file>> open(const std::string& path, std::uint64_t max_bytes);

  /// Appends what `write` appends to its argument, which is whole packets. The first failure is logged and counted.
  template <class Write>
  void append(context& where, const Write& write) {
    const std::lock_guard guard(lock_);
    if (over_) return;
    try {
      batch_.clear();
      write(batch_);
      write_batch(where);
    } catch (const std::bad_alloc&) {
      finish(where, "no memory for what comes");
    }
  }
  /// For made-up addresses: 0, 1, ... as connections come.
  [[nodiscard]] std::uint32_t next_number() noexcept {
    const std::lock_guard guard(lock_);
    return number_++;
  }

 private:
  capture_file(os::unique_fd fd, std::string path, std::uint64_t size, std::uint64_t max_bytes)
      : fd_(std::move(fd)), path_(std::move(path)), size_(size), max_bytes_(max_bytes) {}
  void write_batch(context& where);
  void finish(context& where, std::string_view why);

  std::mutex lock_;
  os::unique_fd fd_;
  std::string path_;
  std::uint64_t size_;
  std::uint64_t max_bytes_;
  std::uint32_t number_ = 0;
  bool over_ = false;
  std::vector<std::byte> batch_;
};

/// The captures of contexts that share this object: one path is one file. Thread safety: all.
class capture_files {
 public:
  /// The file of `with.capture`, opened if it is not. Stays open as long as this object.
  [[nodiscard]] result<std::shared_ptr<capture_file>> find(const options& with);

 private:
  static constexpr std::size_t k_most = 256;
  std::mutex lock_;
  std::map<std::string, std::shared_ptr<capture_file>, std::less<>> open_;  // guarded by lock_
};

}  // namespace ferry::net
