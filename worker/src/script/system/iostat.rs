//! `iostat`: what processors and disks have done on average since the start.

use super::table;
use crate::channel::Channel;
use crate::error::{Diskinfo, Result};
use crate::format::kernel::disks::{self, Disk};
use crate::format::kernel::percent;
use crate::format::kernel::statistics::{self, CpuTime};
use crate::script::record::{self, Property};
use crate::script::{Surface, item};
use rex_protocol::system::Table;
use rhai::{Array, Dynamic, Map};
use std::fmt;
use std::rc::Rc;
use std::time::SystemTime;

/// What they have done until now.
#[derive(Debug, Clone)]
pub(in crate::script) struct Snapshot(Rc<(Shares, Vec<Device>)>);

/// Shares of the processors' time.
#[derive(Debug, Clone, Copy)]
struct Shares(CpuTime);

/// What a disk has done in so many seconds.
#[derive(Debug, Clone)]
struct Device {
    disk: Disk,
    seconds: f64,
}

const SHARES: &[Property<Shares>] = &[
    ("idle_percent", |shares| shares.of(shares.0.idle).into()),
    ("iowait_percent", |shares| shares.of(shares.0.iowait).into()),
    ("nice_percent", |shares| shares.of(shares.0.nice).into()),
    ("steal_percent", |shares| shares.of(shares.0.stolen).into()),
    ("system_percent", |shares| shares.of(shares.system()).into()),
    ("user_percent", |shares| shares.of(shares.0.user).into()),
];

const DEVICE: &[Property<Device>] = &[
    ("avg_queue_size", |device| device.queue().into()),
    ("avg_read_wait", |device| ratio(float(device.disk.reading_ms), float(device.disk.reads)).into()),
    ("avg_request_size", |device| device.request_size().into()),
    ("avg_wait", |device| device.wait().into()),
    ("avg_write_wait", |device| ratio(float(device.disk.writing_ms), float(device.disk.writes)).into()),
    ("device_name", |device| device.disk.name.clone().into()),
    ("read_requests_per_sec", |device| device.per_second(device.disk.reads).into()),
    ("rkb_per_sec", |device| (device.per_second(device.disk.sectors_read) / 2.0).into()),
    ("rrqm_per_sec", |device| device.per_second(device.disk.reads_merged).into()),
    ("svctm", |device| ratio(float(device.disk.busy_ms), device.requests()).into()),
    ("util_percent", |device| device.utilization().into()),
    ("wkb_per_sec", |device| (device.per_second(device.disk.sectors_written) / 2.0).into()),
    ("write_requests_per_sec", |device| device.per_second(device.disk.writes).into()),
    ("wrqm_per_sec", |device| device.per_second(device.disk.writes_merged).into()),
];

/// What has been done until now.
pub(in crate::script) fn read(channel: &Rc<Channel>) -> Result<Snapshot> {
    let text = |table| -> Result<String> {
        let bytes = table::bytes(channel, table, Diskinfo::PermissionDenied, Diskinfo::Other)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let statistics = statistics::read(&text(Table::Statistics)?);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = (now.as_secs_f64() - float(statistics.boot_time)).max(0.0);
    let disks = disks::read(&text(Table::Disks)?);
    let devices = disks.into_iter().map(|disk| Device { disk, seconds }).collect();
    Ok(Snapshot(Rc::new((Shares(statistics.total), devices))))
}

impl Shares {
    fn of(&self, time: u64) -> f64 {
        percent(time, self.0.sum())
    }

    /// With the time of interrupts.
    fn system(&self) -> u64 {
        self.0.system.saturating_add(self.0.irq).saturating_add(self.0.softirq)
    }
}

impl Device {
    fn per_second(&self, count: u64) -> f64 {
        ratio(float(count), self.seconds)
    }

    fn requests(&self) -> f64 {
        float(self.disk.reads) + float(self.disk.writes)
    }

    /// In sectors.
    fn request_size(&self) -> f64 {
        ratio(float(self.disk.sectors_read) + float(self.disk.sectors_written), self.requests())
    }

    fn queue(&self) -> f64 {
        ratio(float(self.disk.weighted_ms), 1000.0 * self.seconds)
    }

    fn wait(&self) -> f64 {
        ratio(float(self.disk.reading_ms) + float(self.disk.writing_ms), self.requests())
    }

    fn utilization(&self) -> f64 {
        ratio(float(self.disk.busy_ms), 10.0 * self.seconds).min(100.0)
    }
}

#[allow(clippy::cast_precision_loss, reason = "averages are shown with two digits")]
fn float(count: u64) -> f64 {
    count as f64
}

/// 0 of nothing.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shares, devices) = &*self.0;
        let time = &shares.0;
        let all = [time.user, time.nice, shares.system(), time.iowait, time.stolen, time.idle];
        let all = all.map(|time| format!("{:6.2}", shares.of(time)));
        writeln!(f, "avg-cpu:  %user   %nice %system %iowait  %steal   %idle")?;
        writeln!(f, "          {}\n", all.join("  "))?;
        writeln!(
            f,
            "Device:         rrqm/s   wrqm/s     r/s     w/s    rkB/s    wkB/s avgrq-sz avgqu-sz   await r_await w_await  \
             svctm  %util"
        )?;
        devices.iter().try_for_each(|device| writeln!(f, "{device}"))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disk = &self.disk;
        write!(f, "{:<15} {:8.2} ", disk.name, self.per_second(disk.reads_merged))?;
        write!(f, "{:8.2} {:7.2} ", self.per_second(disk.writes_merged), self.per_second(disk.reads))?;
        write!(f, "{:7.2} {:8.2} ", self.per_second(disk.writes), self.per_second(disk.sectors_read) / 2.0)?;
        write!(f, "{:8.2} {:8.2} ", self.per_second(disk.sectors_written) / 2.0, self.request_size())?;
        write!(f, "{:8.2} {:7.2} ", self.queue(), self.wait())?;
        write!(f, "{:7.2} ", ratio(float(disk.reading_ms), float(disk.reads)))?;
        write!(f, "{:7.2} ", ratio(float(disk.writing_ms), float(disk.writes)))?;
        write!(f, "{:6.2} {:6.2}", ratio(float(disk.busy_ms), self.requests()), self.utilization())
    }
}

/// Registers what is counted.
pub(super) fn register(surface: &mut Surface) {
    surface.shown::<Snapshot>("IoStatSnapshot");
    surface.named::<Shares>("CpuStats");
    surface.named::<Device>("DeviceStats");
    record::register(surface, SHARES);
    record::register(surface, DEVICE);
    surface.property("cpu_stats", |snapshot: &mut Snapshot| snapshot.0.0);
    surface.property("device_stats", |snapshot: &mut Snapshot| -> Array {
        snapshot.0.1.iter().cloned().map(Dynamic::from).collect()
    });
    surface.function("to_map", |snapshot: &mut Snapshot| {
        let (shares, devices) = &*snapshot.0;
        let devices: Array = devices.iter().map(|device| Dynamic::from_map(record::to_map(device, DEVICE))).collect();
        Map::from_iter([item("cpu_stats", record::to_map(shares, SHARES)), item("device_stats", devices)])
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_reads_as_a_table() {
        let disk = disks::read("8 0 sda 100 20 4000 50 300 40 800 150 0 1000 400").remove(0);
        let time = CpuTime { user: 25, system: 15, irq: 5, softirq: 5, idle: 50, ..CpuTime::default() };
        let snapshot = Snapshot(Rc::new((Shares(time), vec![Device { disk, seconds: 100.0 }])));
        assert_eq!(
            snapshot.to_string(),
            "avg-cpu:  %user   %nice %system %iowait  %steal   %idle\n\
             \u{20}          25.00    0.00   25.00    0.00    0.00   50.00\n\n\
             Device:         rrqm/s   wrqm/s     r/s     w/s    rkB/s    wkB/s avgrq-sz avgqu-sz   await r_await w_await  \
             svctm  %util\n\
             sda                 0.20     0.40    1.00    3.00    20.00     4.00    12.00     0.00    0.50    0.50    \
             0.50   2.50   1.00\n"
        );
    }
}
