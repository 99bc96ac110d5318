// What every test above the dry floors needs, compiled once.
#include "test_pch.hpp"
#include "wet_pch.hpp"
