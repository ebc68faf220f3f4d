// Registers pair_style gapfit. The interface of `plugin load` is declared here, because
// distributions of LAMMPS do not always come with its header.
#include "lammps.h"

#include "pair_gapfit.h"

namespace {

struct Plugin {
    const char *version, *style, *name, *info, *author;
    union {
        void *(*without_arguments)(void *);
        void *(*with_arguments)(void *, int, char **);
    } creator;
    void *handle;
};

using Register = void (*)(Plugin *, void *);

void *create(void *lmp) {
    return new LAMMPS_NS::PairGapfit(static_cast<LAMMPS_NS::LAMMPS *>(lmp));
}

}  // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(
    void *lmp, void *handle, void *registration) {
    Plugin plugin;
    plugin.version = GAPFIT_LAMMPS_VERSION;
    plugin.style = "pair";
    plugin.name = "gapfit";
    plugin.info = "potentials fitted by gapfit, version " GAPFIT_VERSION;
    plugin.author = "the gapfit developers";
    plugin.creator.without_arguments = &create;
    plugin.handle = handle;
    reinterpret_cast<Register>(registration)(&plugin, lmp);
}
