// A dashboard as build.py may write it: Grafana's own types, for the four kinds of panel in use.
import type { Dashboard, DashboardLink, DataQuery, FieldConfig, Panel } from "@grafana/schema";
import type * as stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type * as timeline from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen";
import type * as series from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

// JSON spells the values of an enum, not its names.
type Plain<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
type Loose = "options" | "fieldConfig" | "targets" | "type";
// That of Prometheus is published by Grafana's plugin alone.
interface Query extends Omit<DataQuery, "datasource">, Pick<Panel, "datasource"> {
  expr: string;
  legendFormat: string;
  format?: "table";
  instant?: true;
}
type Of<Kind extends string, Options, Field> = Plain<Omit<Panel, Loose> & {
  type: Kind;
  options: Partial<Options>;
  targets: Query[];
  fieldConfig: {
    overrides: [];
    defaults: Omit<FieldConfig, "custom" | "links"> & {
      links?: Pick<DashboardLink, "title" | "url">[];
      custom?: Field;
    };
  };
}>;
type Any =
  | Of<"stat", stat.Options, never>
  | Of<"table", table.Options, table.FieldConfig>
  | Of<"state-timeline", timeline.Options, timeline.FieldConfig>
  | Of<"timeseries", series.Options, series.FieldConfig>;
export type Page = Plain<Omit<Dashboard, "panels">> & { panels: Any[] };
