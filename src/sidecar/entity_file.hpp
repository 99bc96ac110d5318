#pragma once
/// A file in an entity's directory that says what the directory is for: the numbers of the service and of the entity,
/// and how many pipes there are, in decimal with a space between; then the names of the socket, of the rings that the
/// service reads and writes, and of the lock file, each on a line of its own. Source: docs/sidecar.md.

namespace ferry::sidecar {

inline constexpr const char* k_entity_file = "entity";

}  // namespace ferry::sidecar
