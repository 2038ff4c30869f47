//! The kernel's tables.

use super::*;
use rex_protocol::fs::OpenedFile;
use rex_protocol::system::OpenTable;

impl Perform for OpenTable {
    type Target = AbsPath;

    fn target(self, _: &mut State) -> Result<AbsPath, Stop> {
        known(self.table.path())
    }

    fn demands(path: &AbsPath) -> Demands {
        Demands::all(vec![file_demand(Action::FileRead, path)])
    }

    fn perform(path: Granted<AbsPath>, state: &mut State) -> Result<OpenedFile, Stop> {
        let path = path.into_inner();
        let table = open_table(&path)?;
        Ok(OpenedFile { file: state.handles.add_file(table)?, path, created: false })
    }
}
