#pragma once
/// The file in which bodies lie once that several instances of one service get, at the sidecar, which alone writes it.
/// It has a name in the directory of each entity of the service. Source: docs/sidecar.md.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "os/private_files.hpp"
#include "ring/shared_bodies.hpp"

namespace ferry::sidecar {

/// Smaller ones are copied: that costs no more.
inline constexpr std::size_t k_least_shared_body = 1024;

/// For those entities of one service whose files have the same users. One thread uses it.
class shared_bodies {
 public:
  /// Goes on with the file in this directory, with what lies in it, if it fits. @return not_found | corrupt: it does
  /// not fit | auth ...
  [[nodiscard]] static result<std::unique_ptr<shared_bodies>> go_on(const std::string& directory, std::uint32_t service,
                                                                    std::uint64_t size, const os::file_users& who);
  /// Makes another one in its place. @return no_memory | permission ...
  [[nodiscard]] static result<std::unique_ptr<shared_bodies>> make(const std::string& directory, std::uint32_t service,
                                                                   std::uint64_t size, const os::file_users& who);

  /// Whoever looks in this directory finds the file from now on. @return not_found: its first name leads to another
  /// file or none | network: it is of another file system | permission ...
  [[nodiscard]] result<void> show_in(const std::string& directory) const;
  [[nodiscard]] bool is_shown_in(const std::string& directory) const;
  /// Somebody has cut it off: nothing is put in any more.
  [[nodiscard]] bool is_torn() const noexcept { return file_.guard->torn(); }

  [[nodiscard]] ring::body_store& store() noexcept { return store_; }

  // Of one message at a time, which has a number, 1 or above: each receiver is announced before the first one gets it.

  void announce(std::uint64_t message) noexcept;
  [[nodiscard]] bool is_for_several(std::uint64_t message) const noexcept {
    return message_ == message && receivers_ > 1;
  }
  /// Puts its body in, once. @return nothing: it has to be copied
  [[nodiscard]] const std::optional<ring::body_reference>& place(bytes body) noexcept;
  [[nodiscard]] std::uint64_t placed() const noexcept { return bodies_; }  ///< bodies that were put in

 private:
  shared_bodies(std::string path, os::private_file file, std::uint64_t generation);

  std::string path_;  // its first name
  os::private_file file_;
  ring::body_store store_;
  std::uint64_t message_ = 0;
  std::uint32_t receivers_ = 0;
  bool is_placed_ = false;  // or cannot be
  std::optional<ring::body_reference> placed_;
  std::uint64_t bodies_ = 0;
};

}  // namespace ferry::sidecar
