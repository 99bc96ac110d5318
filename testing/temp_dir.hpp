#pragma once
/// A directory of a test's own.

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace ferry::test {

/// Made under $TMPDIR (else /tmp) with mode 0700, removed with all that is in it when the object goes. The path is
/// short, so that socket paths below it stay under the limit of sun_path. Throws std::system_error if it cannot be
/// made.
class temp_dir {
 public:
  temp_dir() : temp_dir(usual_base() + "/ferry.XXXXXX") {}
  /// @param name  with six X at its end, which are replaced
  explicit temp_dir(std::string name) {
    if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp " + name);
    path_ = name;
  }
  ~temp_dir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temp_dir(const temp_dir&) = delete;
  temp_dir& operator=(const temp_dir&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  /// The path of `name` in it; makes nothing.
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  [[nodiscard]] static std::string usual_base() {
    const char* base = std::getenv("TMPDIR");
    return base != nullptr && *base != '\0' ? base : "/tmp";
  }
  std::filesystem::path path_;
};

}  // namespace ferry::test
