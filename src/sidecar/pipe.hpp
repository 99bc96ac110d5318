#pragma once
/// The rings of one pipe, as files that the sidecar made and maps: a compatible one each way, and a native one each way
/// once an instance has asked for them. Source: docs/sidecar.md.
///
/// What an instance wrote is read in the order in which it wrote it:
///
///     leftover    what an earlier instance left in the native ring       --empty--> compatible; not for one that comes
///                 again, and was native before, nor while an earlier one's compatible ring is not empty
///     compatible  --empty, and the instance has said that it writes natively now, or it has gone--> native
///     native      until the next instance comes

#include <ferry/error.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "os/pipe_lock.hpp"
#include "sidecar/body_finder.hpp"
#include "sidecar/compatible_plane.hpp"
#include "sidecar/native_plane.hpp"
#include "sidecar/settings.hpp"
#include "sidecar/shared_bodies.hpp"

namespace ferry::sidecar {

/// What happened on a pipe since the sidecar began.
struct pipe_counts {
  std::uint64_t received = 0;  ///< messages that its instance wrote, and that were read
  std::uint64_t received_bytes = 0;
  std::uint64_t delivered = 0;  ///< messages that were written for its instance
  std::uint64_t delivered_bytes = 0;
  std::uint64_t held = 0;       ///< times that what it wrote had to wait for somebody else's room
  std::uint64_t full = 0;       ///< messages for it that were dropped, as its ring was full
  std::uint64_t malformed = 0;  ///< messages from it that could not be understood, or said a wrong source
};

class pipe {
 public:
  enum class state : std::uint8_t {
    idle,      ///< nobody has registered
    read,      ///< an instance is there
    draining,  ///< it has gone; what it wrote is still read, to the end
    damaged,   ///< what lies in its files cannot be; they are made anew when nobody holds the lock
  };

  /// Files that fit the settings are gone on with, with what is in them; others are made anew, unless somebody holds
  /// the lock of the pipe: then the pipe is damaged. @return permission | no_memory | auth ...
  [[nodiscard]] static result<std::unique_ptr<pipe>> open(const entity_settings& of, std::uint32_t index,
                                                          const ring::sidecar_ring_limits& limits);

  ~pipe();
  pipe(const pipe&) = delete;
  pipe& operator=(const pipe&) = delete;

  [[nodiscard]] state where() const noexcept { return state_; }
  void enter(state next) noexcept { state_ = next; }
  /// What is wrong with its files, in words: whoever opened them now would get others than we have, or find other
  /// positions in them than ours. Empty: nothing.
  [[nodiscard]] std::string disturbance() const;
  /// Damaged, and nobody holds the lock: makes the files anew. @return whether the pipe can be used
  bool mend();
  /// Nobody has registered. @param patience  of settings::lease @return whether somebody holds the lock and has not
  /// written into its file for so long, which holders of a lease do twice in that time
  [[nodiscard]] bool has_lapsed(time_point now, duration patience);
  /// After has_lapsed(): somebody holds the lock, and is watched.
  [[nodiscard]] bool is_watched() const noexcept { return unrenewed_.has_value(); }
  /// Takes the lock from whoever holds it: that one keeps a file which nobody finds any more, and after mend() rings
  /// that nobody reads.
  void evict() noexcept;
  /// Whether somebody holds the lock.
  [[nodiscard]] bool is_held() const;
  /// A file has become shorter under us.
  [[nodiscard]] bool torn() const noexcept;

  /// Where bodies lie once that others of its service get, too; what lies in its ring may refer to those already. Null:
  /// nowhere, until begin() finds another.
  void share(std::shared_ptr<shared_bodies> with);
  [[nodiscard]] bool is_in(const shared_bodies& which) const noexcept { return bodies_.get() == &which; }

  /// An instance is there. @param asked  for, as in its registration @return what it gets, as in the answer; native
  /// rings that cannot be made are none; trouble() says why, or that they had to be made anew
  std::uint32_t begin(std::uint32_t asked);
  [[nodiscard]] std::uint32_t rings() const noexcept { return agreed_; }  ///< as begin() said
  [[nodiscard]] const std::string& trouble() const noexcept { return trouble_; }
  /// The instance writes to its native ring from now on.
  void switched() noexcept { switched_ = agreed_ != 0; }
  [[nodiscard]] bool reads_native() const noexcept { return reading_ == reading::native; }
  /// The named pipe that is rung when its instance has written to a native ring while nobody looked.
  [[nodiscard]] std::string bell_path() const { return send_.path + k_bell_suffix; }
  /// from_service() has given no message. @return whether it has to be asked again: there are more behind those that
  /// were too old, or it is another ring now
  bool go_on_to_next() noexcept;

  /// What was written natively for an instance that has gone without having read it, while the one that is there now
  /// reads compatible rings: older than all that this one still gets. Null: nothing is left.
  [[nodiscard]] native_reader* left() const noexcept { return left_.get(); }
  /// All of it has been taken.
  void forget_left() noexcept { left_ = nullptr; }

  /// from_service() and to_service(), where they are native; else null. Valid as long as these are.
  [[nodiscard]] native_reader* native_from() const noexcept {
    return reading_ == reading::native ? native_from_service_.get() : nullptr;
  }
  [[nodiscard]] native_writer* native_to() const noexcept { return agreed_ != 0 ? native_to_service_.get() : nullptr; }
  /// Where bodies may lie that its instance gets; null: nowhere.
  [[nodiscard]] shared_bodies* shares() const noexcept { return is_sharing_ ? bodies_.get() : nullptr; }
  /// Writes a message to native_to(), and its body there, unless that was done. @param head  of a native message
  /// @return false: no room here or there, or its instance keeps too many; nothing was written here
  [[nodiscard]] bool write_shared(bytes head, bytes body) noexcept;
  /// Finds what left() refers to.
  [[nodiscard]] body_finder& bodies_left() noexcept { return bodies_left_; }

  [[nodiscard]] service_rings writes() const noexcept;
  [[nodiscard]] plane_writer& to_service() noexcept;
  [[nodiscard]] plane_reader& from_service() noexcept;
  /// Of all its rings.
  [[nodiscard]] ring::sidecar_ring_stats read_stats() const noexcept;
  [[nodiscard]] std::uint32_t unread_to_service() const noexcept;
  [[nodiscard]] std::uint32_t unread_from_service() const noexcept;
  [[nodiscard]] const std::string& lock_path() const noexcept { return lock_path_; }
  [[nodiscard]] const std::string& damage() const noexcept { return damage_; }
  void set_damage(std::string why) { damage_ = std::move(why); }

  pipe_counts counts;

 private:
  enum class reading : std::uint8_t { leftover, compatible, native };
  struct one_ring {
    std::string path;
    std::uint64_t bytes = 0;  // of the queue
  };
  /// The references in native_to_service_.
  class references final : public ring::body_holder {
   public:
    explicit references(const pipe& of) noexcept : of_(of) {}
    [[nodiscard]] std::uint64_t read_to() noexcept override;

   private:
    const pipe& of_;
  };

  pipe(const entity_settings& of, std::uint32_t index, const ring::sidecar_ring_limits& limits);
  [[nodiscard]] result<void> go_on();
  [[nodiscard]] result<void> make_anew();
  [[nodiscard]] result<void> attach(os::private_file receive, os::private_file send);
  [[nodiscard]] result<void> make_native();
  void find_left();
  /// Takes the lock, for as long as files are made anew. @return nothing: nobody can take it | busy: somebody has it
  [[nodiscard]] result<std::optional<os::pipe_lock>> keep_others_away() const;
  [[nodiscard]] result<void> share_lock() const;
  void remove_native() noexcept;

  state state_ = state::idle;
  reading reading_ = reading::compatible;
  bool may_be_native_;
  bool switched_ = false;
  std::uint32_t agreed_ = 0;
  ring::sidecar_ring_limits limits_;
  os::file_users users_;
  std::string lock_path_;
  struct unrenewed {
    std::string content;  // of the lock file
    time_point since{};
  };
  std::optional<unrenewed> unrenewed_;  // what its holder does not write again; none: there is no holder
  std::string damage_;                  // in words, while it is damaged
  std::string trouble_;
  one_ring receive_, send_;
  // Null: they could not be mapped, or were never asked for.
  std::unique_ptr<compatible_writer> to_service_;
  std::unique_ptr<compatible_reader> from_service_;
  std::unique_ptr<native_writer> native_to_service_;
  std::unique_ptr<native_reader> native_from_service_;
  std::unique_ptr<native_reader> left_;  // the other end of native_to_service_; nobody else reads there meanwhile
  body_finder bodies_left_;
  references references_{*this};
  std::shared_ptr<shared_bodies> bodies_;  // null: none
  bool is_sharing_ = false;                // agreed on
};

[[nodiscard]] const char* to_string(pipe::state what) noexcept;

/// The user that the files of an entity belong to.
[[nodiscard]] std::uint32_t owner_of(const entity_settings& of) noexcept;
/// And those who may register besides.
[[nodiscard]] os::file_users users_of(const entity_settings& of);

}  // namespace ferry::sidecar
