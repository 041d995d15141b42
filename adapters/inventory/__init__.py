"""The inventory system: stock by location, pools of numbers and addresses (F08, F13)."""
