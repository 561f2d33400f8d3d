mod placeholder_for_history {}
