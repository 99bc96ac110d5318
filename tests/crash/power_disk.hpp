#pragma once
/// A directory of real files on a disk that may lose its power, seen from outside: what was synced is there; of the
/// rest any words may be, each with any of the values that were seen, any of the sizes, and any of the names that were
/// made, moved or removed. Of two changes to the same name or file the later one is not there without the earlier one,
/// as on file systems with a journal.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "os/unique_fd.hpp"
#include "stepped_child.hpp"

namespace ferry::test {

class power_disk {
 public:
  /// What is there now is on the disk.
  explicit power_disk(std::string directory) : directory_(std::move(directory)) {
    look();
    names_on_disk_ = names_;
    changes_.clear();
    for (auto& [number, one] : files_) one.synced(0, one.words.size());
  }

  /// Runs a child up to its next system call, or to that one's end, and keeps count of what reaches the disk.
  /// @return false: it has ended
  [[nodiscard]] bool step(stepped_child& child) {
    const auto call = child.entering();
    const auto begun = call ? sync_of(child, *call) : sync{};
    if (!child.step_to_system_call()) {
      look();
      return false;
    }
    // Nothing was stored since it began: what it syncs is what was seen then.
    if (begun.directory) {
      names_on_disk_ = names_;
      changes_.clear();
      news_ = true;
    } else if (begun.file != 0) {
      files_.at(begun.file).synced(begun.first, begun.last);
      news_ = true;
    }
    look();
    return true;
  }
  /// Whether a loss of power may leave something else than at the last question.
  [[nodiscard]] bool news() { return std::exchange(news_, false); }

  /// How many system calls have changed names that are not on the disk.
  [[nodiscard]] std::size_t changes() const noexcept { return changes_.size(); }
  /// Makes the files that a loss of power leaves, in another directory, which is empty.
  /// @param share  of the words that made it, in percent @param named  the changes of names that did, a bit for each
  template <class Random>
  void lose_power(Random& random, unsigned share, std::uint64_t named, const std::string& into) const {
    for (const auto& [name, number] : names_after_loss(named)) {
      const std::string found = files_.at(number).after_loss(random, share);
      std::ofstream(into + "/" + name, std::ios::binary) << found;
      std::filesystem::permissions(into + "/" + name,
                                   std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    }
  }

 private:
  using names = std::map<std::string, ino_t>;
  /// A name's file after one system call; none: it has none.
  using change = std::map<std::string, std::optional<ino_t>>;
  struct file {
    os::unique_fd open;  // so that its number does not become another one's
    std::vector<std::uint64_t> words, on_disk;
    std::map<std::size_t, std::vector<std::uint64_t>> unsynced;  // by word: the values that it had since
    std::size_t size = 0;
    std::vector<std::size_t> sizes{0};  // that it may have; the first one is on disk

    // @return whether anything has changed
    bool look() {
      struct stat about {};
      if (::fstat(open.get(), &about) != 0) throw std::runtime_error("fstat");
      const auto now_bytes = static_cast<std::size_t>(about.st_size);
      std::vector<std::uint64_t> now((now_bytes + 7) / 8);
      if (::pread(open.get(), now.data(), now_bytes, 0) != about.st_size) throw std::runtime_error("pread");
      bool changed = now_bytes != size;
      if (changed) sizes.push_back(now_bytes);
      words.resize(std::max(words.size(), now.size()));
      on_disk.resize(words.size());
      for (std::size_t i = 0; i < now.size(); ++i) {
        if (now[i] == words[i]) continue;
        unsynced[i].push_back(now[i]);
        changed = true;
      }
      std::copy(now.begin(), now.end(), words.begin());
      size = now_bytes;
      return changed;
    }
    void synced(std::size_t first, std::size_t last) {
      for (auto i = unsynced.lower_bound(first); i != unsynced.end() && i->first < last; i = unsynced.erase(i))
        on_disk[i->first] = i->second.back();
      sizes = {size};
    }
    template <class Random>
    [[nodiscard]] std::string after_loss(Random& random, unsigned share) const {
      auto found = on_disk;
      for (const auto& [word, values] : unsynced)
        if (random() % 100 < share) found[word] = values[share == 100 ? values.size() - 1 : random() % values.size()];
      const auto length = share == 0 ? sizes.front() : share == 100 ? sizes.back() : sizes[random() % sizes.size()];
      return {reinterpret_cast<const char*>(found.data()), length};
    }
  };
  /// What a system call brings to the disk.
  struct sync {
    bool directory = false;
    ino_t file = 0;
    std::size_t first = 0, last = 0;
  };

  void look() {
    names now;
    for (const auto& one : std::filesystem::directory_iterator(directory_)) {
      os::unique_fd fd(::open(one.path().c_str(), O_RDONLY | O_CLOEXEC));
      struct stat about {};
      if (::fstat(fd.get(), &about) != 0) throw std::runtime_error("fstat");
      now[one.path().filename()] = about.st_ino;
      if (!files_.contains(about.st_ino)) files_[about.st_ino].open = std::move(fd);
    }
    change made;
    for (const auto& [name, number] : now)
      if (const auto was = names_.find(name); was == names_.end() || was->second != number) made[name] = number;
    for (const auto& [name, number] : names_)
      if (!now.contains(name)) made[name] = std::nullopt;
    if (!made.empty()) {
      changes_.push_back(made);
      news_ = true;
    }
    names_ = std::move(now);
    for (auto& [number, one] : files_) news_ |= one.look();
  }
  [[nodiscard]] sync sync_of(const stepped_child& child, const stepped_child::system_call& call) const {
    const std::string process = "/proc/" + std::to_string(child.pid());
    if (call.number == SYS_fsync || call.number == SYS_fdatasync) {
      struct stat about {
      }, here{};
      if (::stat((process + "/fd/" + std::to_string(call.arguments[0])).c_str(), &about) != 0) return {};
      if (::stat(directory_.c_str(), &here) == 0 && here.st_ino == about.st_ino) return {true};
      return {false, files_.contains(about.st_ino) ? about.st_ino : 0, 0, ~std::size_t{0}};
    }
    if (call.number != SYS_msync || (call.arguments[2] & MS_SYNC) == 0) return {};
    std::ifstream maps(process + "/maps");
    for (std::string line; std::getline(maps, line);) {
      std::istringstream from(line);
      std::uint64_t begin = 0, end = 0, offset = 0, number = 0;
      char dash = 0;
      std::string rights, device, path;
      from >> std::hex >> begin >> dash >> end >> rights >> offset >> device >> std::dec >> number >> path;
      if (call.arguments[0] < begin || call.arguments[0] >= end) continue;
      const auto one = names_.find(std::filesystem::path(path).filename());
      if (!path.starts_with(directory_) || one == names_.end()) return {};
      const std::size_t first = call.arguments[0] - begin + offset;
      return {false, one->second, first / 8, (first + call.arguments[1] + 7) / 8};
    }
    return {};
  }
  [[nodiscard]] names names_after_loss(std::uint64_t named) const {
    names found = names_on_disk_;
    std::set<std::string> late_names;
    std::set<ino_t> late_files;
    for (std::size_t i = 0; i < changes_.size(); ++i) {
      const auto& made = changes_[i];
      const bool waits = std::any_of(made.begin(), made.end(), [&](const auto& one) {
        return late_names.contains(one.first) || (one.second && late_files.contains(*one.second));
      });
      const bool survives = !waits && (named >> i % 64 & 1) != 0;
      for (const auto& [name, number] : made) {
        if (!survives) {
          late_names.insert(name);
          if (number) late_files.insert(*number);
        } else if (number) {
          found[name] = *number;
        } else {
          found.erase(name);
        }
      }
    }
    return found;
  }

  const std::string directory_;
  names names_, names_on_disk_;
  std::vector<change> changes_;
  std::map<ino_t, file> files_;
  bool news_ = true;
};

}  // namespace ferry::test
