//! Metrics and alarms.

use super::Surface;
use crate::error::Result;
use rex_protocol::text::Text;
use rex_protocol::worker::{Alarm, Metric, Unit};
use std::collections::BTreeMap;
use std::fmt;

/// A metric that is being put together. Its setters give a changed copy.
#[derive(Debug, Clone, Default)]
struct MetricBuilder {
    name: Option<String>,
    value: Option<f64>,
    unit: Option<Unit>,
    dimensions: BTreeMap<String, String>,
}

/// What a metric is about; under construction, and done.
#[derive(Debug, Clone, Default)]
struct DimensionsBuilder(BTreeMap<String, String>);
#[derive(Debug, Clone, Default)]
struct Dimensions(BTreeMap<String, String>);

/// An alarm that is being put together. Its setters give a changed copy.
#[derive(Debug, Clone, Default)]
struct AlarmBuilder {
    kind: Option<String>,
    details: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct MetricUnit(Unit);

impl MetricUnit {
    const ALL: &'static [(&'static str, Unit)] = &[
        ("UNDEFINED", Unit::Undefined),
        ("COUNT", Unit::Count),
        ("TIME", Unit::Time),
        ("MEGABYTES", Unit::Megabytes),
        ("PERCENT", Unit::Percent),
    ];
}

impl fmt::Display for MetricUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(_, unit)| *unit == self.0).map_or("", |(name, _)| name))
    }
}

impl MetricBuilder {
    fn build(self) -> Result<Metric> {
        let name = text("metric_name", self.name.ok_or_else(|| missing("metric_name"))?)?;
        let value = self.value.ok_or_else(|| missing("metric_value"))?;
        let unit = self.unit.ok_or_else(|| missing("metric_unit"))?;
        let dimension = |(key, value)| Ok((text("metric_dimension", key)?, text("metric_dimension", value)?));
        let dimensions = self.dimensions.into_iter().map(dimension).collect::<Result<_>>()?;
        Ok(Metric { name, value, unit, dimensions })
    }
}

impl AlarmBuilder {
    fn build(self) -> Result<Alarm> {
        let kind = text("alarm_type", self.kind.ok_or_else(|| missing("alarm_type"))?)?;
        let details = self.details.map(|details| text("alarm_details", details)).transpose()?;
        Ok(Alarm { kind, details })
    }
}

fn missing(field: &str) -> String {
    format!("`{field}` must be initialized")
}

fn text<const MAX: usize>(field: &str, value: String) -> Result<Text<MAX>> {
    Text::try_from(value).map_err(|error| format!("`{field}` is too long: {error}").into())
}

/// Registers the builders of metrics and alarms.
pub fn register(surface: &mut Surface) {
    surface.shown::<MetricUnit>("MetricUnitType");
    let units = MetricUnit::ALL.iter().map(|(name, unit)| ((*name).to_owned(), MetricUnit(*unit)));
    surface.constants("MetricUnitType", units);

    surface.named::<DimensionsBuilder>("MetricDimensionsBuilder");
    surface.named::<Dimensions>("MetricDimensions");
    surface.function("MetricDimensionsBuilder", DimensionsBuilder::default);
    surface.function("add", |mut builder: DimensionsBuilder, key: &str, value: &str| {
        builder.0.insert(key.to_owned(), value.to_owned());
        builder
    });
    surface.function("build", |builder: DimensionsBuilder| Dimensions(builder.0));

    surface.named::<MetricBuilder>("MetricBuilder");
    surface.function("MetricBuilder", MetricBuilder::default);
    surface.function("name", |builder: MetricBuilder, name: String| MetricBuilder { name: Some(name), ..builder });
    surface.function("value", |builder: MetricBuilder, value: f64| MetricBuilder { value: Some(value), ..builder });
    #[allow(clippy::cast_precision_loss)]
    surface
        .function("value", |builder: MetricBuilder, value: i64| MetricBuilder { value: Some(value as f64), ..builder });
    surface
        .function("unit", |builder: MetricBuilder, unit: MetricUnit| MetricBuilder { unit: Some(unit.0), ..builder });
    surface.function("dimensions", |builder: MetricBuilder, about: Dimensions| MetricBuilder {
        dimensions: about.0,
        ..builder
    });
    let channel = surface.channel();
    surface.function("publish", move |builder: MetricBuilder| -> Result<()> {
        channel.metric(builder.build()?);
        Ok(())
    });

    surface.named::<AlarmBuilder>("AlarmBuilder");
    surface.function("AlarmBuilder", AlarmBuilder::default);
    surface.function("type", |builder: AlarmBuilder, kind: String| AlarmBuilder { kind: Some(kind), ..builder });
    surface.function("details", |builder: AlarmBuilder, details: String| AlarmBuilder {
        details: Some(details),
        ..builder
    });
    let channel = surface.channel();
    surface.function("publish", move |builder: AlarmBuilder| -> Result<()> {
        channel.alarm(builder.build()?);
        Ok(())
    });
}
