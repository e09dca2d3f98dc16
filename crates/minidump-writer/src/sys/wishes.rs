//! What the caller of a dump asked for, applied to what was captured: the same on all systems.

use crate::snapshot::{MemoryPlan, MemoryPolicy, MemorySource, Module, Snapshot, SoftError, Stage};

/// `plan` without the stacks that `policy` wants to be left out when they are known.
pub fn plan(
    plan: MemoryPlan,
    policy: &MemoryPolicy,
    snapshot: &mut Snapshot,
    memory: &dyn MemorySource,
) -> MemoryPlan {
    match policy.only_stacks_referring_to {
        Some(range) => only_referring(&plan, whole(range, snapshot), snapshot, memory),
        None => plan,
    }
}

/// `range`, or when its size is 0 the module or else the mapping that it lies in.
fn whole(range: (u64, u64), snapshot: &Snapshot) -> (u64, u64) {
    let (address, size) = range;
    let modules = snapshot.modules.iter().map(|module| (module.base, module.size));
    let regions = snapshot.regions.iter().map(|region| (region.start, region.size()));
    let holds = |(start, size): &(u64, u64)| address.checked_sub(*start).is_some_and(|offset| offset < *size);
    if size > 0 { range } else { modules.chain(regions).find(holds).unwrap_or(range) }
}

/// The plan without the stacks that do not refer to `range`.
fn only_referring(
    plan: &MemoryPlan,
    range: (u64, u64),
    snapshot: &mut Snapshot,
    memory: &dyn MemorySource,
) -> MemoryPlan {
    let (plan, dropped) = plan.only_stacks_that_refer_to(range, snapshot, memory);
    if !dropped.is_empty() {
        let message = format!(
            "the stacks of {} threads were left out, because they do not refer to the memory that was asked about",
            dropped.len()
        );
        snapshot.soft_errors.push(SoftError::new(Stage::Memory, message).range(range.0, range.1));
    }
    plan
}

/// The modules found, with those that the caller knows better in place of the ones they overlap.
pub fn with_user_modules(found: Vec<Module>, user: &[Module]) -> Vec<Module> {
    let end = |module: &Module| module.base.saturating_add(module.size);
    let overlaps = |module: &Module| user.iter().any(|own| own.base < end(module) && module.base < end(own));
    let mut modules: Vec<Module> = found.into_iter().filter(|module| !overlaps(module)).collect();
    modules.extend(user.iter().filter(|module| module.size > 0).cloned());
    modules.sort_by_key(|module| module.base);
    without_overlaps(modules)
}

/// Of sorted modules that overlap, the first.
pub fn without_overlaps(mut modules: Vec<Module>) -> Vec<Module> {
    let mut end = 0;
    modules.retain(|module| {
        let free = module.base >= end;
        if free {
            end = module.base.saturating_add(module.size);
        }
        free
    });
    modules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::ModuleId;

    fn module(base: u64, id: Option<u8>) -> Module {
        Module {
            base,
            size: 0x1000,
            path: format!("/lib/{base:x}.so").into_bytes(),
            soname: None,
            version: None,
            id: id.map(|byte| ModuleId::BuildId(vec![byte; 20])),
            is_main: false,
            deleted: false,
        }
    }

    #[test]
    fn modules_of_the_caller_take_the_place_of_those_they_overlap() {
        let found = vec![module(0x1000, Some(1)), module(0x3000, Some(3))];
        let user = [module(0x3800, Some(9)), module(0x8000, Some(8))];
        let expected = vec![module(0x1000, Some(1)), module(0x3800, Some(9)), module(0x8000, Some(8))];
        assert_eq!(with_user_modules(found, &user), expected);
    }
}
